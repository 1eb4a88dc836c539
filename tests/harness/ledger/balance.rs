//! Whether the books balance to the last entry.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};

use super::{Account, Ledger};
use crate::{Bus, bus};

impl Ledger {
    /// What was published from the message with this number on may be lost: Redis may have taken for a
    /// subscriber one that it could not reach.
    pub fn excuse_from(&mut self, number: usize) {
        let is_excused = |id: &String| id.parse::<usize>().is_ok_and(|id| id >= number);
        let (excused, heard) = std::mem::take(&mut self.heard)
            .into_iter()
            .partition(is_excused);
        self.heard = heard;
        self.excused.extend::<BTreeSet<_>>(excused);
    }

    /// How many messages have been published, which is the number of the next.
    #[must_use]
    pub fn published(&self) -> usize {
        self.published
    }

    /// Waits until everything heard is in one of the two streams, and holds the promise to the letter:
    /// every message published is one entry of one of the streams, or `PUBLISH` answered 0 for it.
    ///
    /// # Errors
    /// When anything heard does not end in time, or the books do not balance.
    pub async fn wait_until_balanced(&self, bus: &Bus) -> Result<Account> {
        let account = self.wait_until_settled(bus).await?;
        for entries in [bus.processed().await?, bus.failed().await?] {
            let mut seen = BTreeSet::new();
            let mut ids = bus::ids(&entries)?;
            ids.retain(|id| !seen.insert(id.clone()));
            ensure!(ids.is_empty(), "{} entries too many: {ids:?}", ids.len());
        }
        let Account { processed, failed } = &account;
        let both: Vec<_> = processed.intersection(failed).collect();
        ensure!(both.is_empty(), "{both:?} are processed and failed");
        let ended: BTreeSet<_> = processed.union(failed).collect();
        let strange: Vec<_> = ended.iter().filter(|id| self.is_unheard(id)).collect();
        ensure!(
            strange.is_empty(),
            "nobody heard {strange:?}, yet they ended"
        );
        let lost: Vec<_> = (0..self.published)
            .map(|number| number.to_string())
            .filter(|id| !ended.contains(id) && !self.is_unheard(id) && !self.may_be_lost(id))
            .collect();
        ensure!(lost.is_empty(), "{} are lost: {lost:?}", lost.len());
        Ok(account)
    }

    fn is_unheard(&self, id: &str) -> bool {
        self.unheard.contains(id)
    }

    fn may_be_lost(&self, id: &str) -> bool {
        self.excused.contains(id) || self.unanswered.contains(id)
    }
}
