//! What the queue tells of itself: the keys it needs, how long messages have waited, who reads it.

use std::time::Duration;

use super::{ChunkQueue, QueueError, reader::RECLAIM_IDLE};
use crate::probe::Need;

/// How many chunks of a reader are looked at to count its messages: Redis does nothing else meanwhile.
const MOST_CHUNKS: usize = 256;

/// One who reads the queue: a replica of the group, or a consumer that pulls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReaderStatus {
    /// Its name in the `StreamGroup`.
    pub name: String,
    /// How many messages it was handed that are not settled. Of many chunks, those after the oldest 256 count
    /// as one message each.
    pub pending: u64,
    /// How long it has asked for nothing.
    pub idle: Duration,
}

impl ChunkQueue {
    /// The keys that are written to when messages are admitted, settled or given up.
    #[must_use]
    pub fn needs(&self) -> Vec<Need> {
        let keys = &self.0.keys;
        vec![
            Need::stream(&keys.queue),
            Need::stream(&keys.id_log),
            Need::hash(&keys.progress),
            Need::account(&keys.account),
            Need::stream(&self.0.processed_key),
            Need::stream(&self.0.failed_key),
        ]
    }

    /// How long the oldest chunk that is not settled has been in the queue, by the clock of Redis; `None`
    /// when the queue is empty.
    ///
    /// # Errors
    /// [`QueueError`] when Redis cannot be reached or refuses.
    pub async fn oldest_age(&self) -> Result<Option<Duration>, QueueError> {
        let answer = self.run(&self.0.scripts.oldest, None, |_| ()).await?;
        let millis: i64 = self.read(answer)?;
        Ok(u64::try_from(millis).ok().map(Duration::from_millis))
    }

    /// Who reads the queue, `most` of them at the most, those that asked last first.
    ///
    /// # Errors
    /// [`QueueError`] when Redis cannot be reached or refuses.
    pub async fn readers(&self, most: usize) -> Result<Vec<ReaderStatus>, QueueError> {
        let answer = self.run(&self.0.scripts.readers, None, |command| {
            command.arg(most).arg(MOST_CHUNKS);
        });
        let readers: Vec<(String, u64, u64)> = self.read(answer.await?)?;
        let status = |(name, pending, idle)| ReaderStatus {
            name,
            pending,
            idle: Duration::from_millis(idle),
        };
        Ok(readers.into_iter().map(status).collect())
    }

    /// Whether somebody reads the queue just now: each reader asks, or keeps what it has, every few seconds.
    ///
    /// # Errors
    /// [`QueueError`] when Redis cannot be reached or refuses.
    pub async fn is_read(&self) -> Result<bool, QueueError> {
        let readers = self.readers(1).await?;
        Ok(readers.iter().any(|reader| reader.idle < RECLAIM_IDLE))
    }
}
