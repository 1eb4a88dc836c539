//! The newest dead letters, for those who look at them.

use redis::Cmd;

use super::{DeadLetters, StoredLetter, pages::Entry};
use crate::BusError;

/// What can be told of the dead letters at little cost.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Latest {
    /// How many there are.
    pub count: u64,
    /// The entry of the newest.
    pub newest: Option<String>,
}

impl DeadLetters {
    /// How many there are, and which is the newest.
    ///
    /// # Errors
    /// [`BusError`] when Redis cannot be reached or refuses.
    pub async fn latest(&self) -> Result<Latest, BusError> {
        let call = |command: &mut Cmd| {
            command.arg(1).arg(&self.key);
        };
        let (count, newest): (u64, String) = self.connection.script(&self.latest, call).await?;
        let newest = Some(newest).filter(|newest| !newest.is_empty());
        Ok(Latest { count, newest })
    }

    /// Up to `most` letters, the newest first; only those before the entry `before`, if there is one.
    /// Of each payload the first `bytes` bytes at the most.
    ///
    /// # Errors
    /// [`BusError`] when Redis cannot be reached or refuses, as it does what is no id of an entry.
    pub async fn newest(
        &self,
        before: Option<&str>,
        most: usize,
        bytes: usize,
    ) -> Result<Vec<StoredLetter>, BusError> {
        let start = before.map_or_else(|| "+".to_owned(), |before| format!("({before}"));
        let call = |command: &mut Cmd| {
            command
                .arg(1)
                .arg(&self.key)
                .arg(&start)
                .arg(most)
                .arg(bytes);
        };
        let letters: Vec<Entry> = self.connection.script(&self.newest, call).await?;
        Ok(letters.into_iter().map(StoredLetter::from).collect())
    }
}
