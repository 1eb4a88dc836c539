//! The entries of the durable queue that this process answers for.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::EntryId;

/// The set of entries held; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Holding(Arc<Mutex<HashSet<EntryId>>>);

impl Holding {
    fn entries(&self) -> MutexGuard<'_, HashSet<EntryId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an entry in hand; `None` when it is already.
    pub(super) fn take(&self, entry: EntryId) -> Option<Receipt> {
        self.entries().insert(entry.clone()).then(|| Receipt {
            entry,
            holding: self.clone(),
        })
    }

    /// All entries held now.
    pub(super) fn all(&self) -> Vec<EntryId> {
        self.entries().iter().cloned().collect()
    }
}

/// Proof that an entry was handed to this process. While it lives the entry is kept alive; when it is
/// dropped and the entry was not settled, another reader takes the entry over in time.
#[derive(Debug)]
pub struct Receipt {
    entry: EntryId,
    holding: Holding,
}

impl Receipt {
    /// The entry it is for.
    #[must_use]
    pub fn entry(&self) -> &EntryId {
        &self.entry
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        self.holding.entries().remove(&self.entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_held_once_and_until_its_receipt_is_dropped() {
        let holding = Holding::default();
        let entry = EntryId("1-0".to_owned());
        let receipt = holding.take(entry.clone()).unwrap();
        assert!(holding.take(entry.clone()).is_none());
        assert_eq!(holding.all(), [receipt.entry().clone()]);
        drop(receipt);
        assert!(holding.all().is_empty());
        assert!(holding.take(entry).is_some());
    }
}
