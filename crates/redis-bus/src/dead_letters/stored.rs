//! Reading and deleting dead letters.

use redis::cmd;

use super::{
    ProcessedIds, StoredLetter,
    pages::{Entry, Pages},
};
use crate::{BusError, Connection, chunk_queue::ChunkQueue, script::Script};

/// The letters there were when this was made, oldest first. A clone goes on from the same place.
#[derive(Debug, Clone)]
pub struct Letters(Option<Pages>);

impl Letters {
    /// The next letters; none at the end.
    ///
    /// # Errors
    /// [`BusError`] when Redis cannot be reached or refuses.
    pub async fn next(&mut self) -> Result<Vec<StoredLetter>, BusError> {
        let page = match &mut self.0 {
            Some(pages) => pages.next().await?,
            None => Vec::new(),
        };
        Ok(page.into_iter().map(StoredLetter::from).collect())
    }
}

/// The dead letters, for whoever looks after them.
#[derive(Debug, Clone)]
pub struct DeadLetters {
    pub(super) connection: Connection,
    pub(super) key: String,
    processed_stream: String,
    pub(super) latest: Script,
    pub(super) newest: Script,
}

impl DeadLetters {
    /// The dead letters of the queue beside `processed_stream`.
    #[must_use]
    pub fn new(connection: Connection, processed_stream: String) -> Self {
        let queue = ChunkQueue::new(connection.clone(), &processed_stream);
        Self {
            key: queue.failed_key().to_owned(),
            connection,
            processed_stream,
            latest: Script::new(concat!(
                "#!lua flags=no-writes\n",
                include_str!("latest.lua")
            )),
            newest: Script::new(concat!(
                "#!lua flags=no-writes\n",
                include_str!("newest.lua")
            )),
        }
    }

    /// The queue beside the stream of processed messages.
    #[must_use]
    pub fn queue(&self) -> ChunkQueue {
        ChunkQueue::new(self.connection.clone(), &self.processed_stream)
    }

    /// The name of the stream.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The name of the stream of processed messages.
    #[must_use]
    pub fn processed_stream(&self) -> &str {
        &self.processed_stream
    }

    /// How many there are.
    ///
    /// # Errors
    /// [`BusError`] when Redis cannot be reached or refuses.
    pub async fn count(&self) -> Result<u64, BusError> {
        self.connection.query(cmd("XLEN").arg(&self.key)).await
    }

    /// All letters there are now. What comes later, such as one that was replayed and failed again, is
    /// not among them.
    ///
    /// # Errors
    /// [`BusError`] when Redis cannot be reached or refuses.
    pub async fn letters(&self) -> Result<Letters, BusError> {
        let mut command = cmd("XREVRANGE");
        command.arg(&self.key).arg("+").arg("-").arg("COUNT").arg(1);
        let last: Vec<(String, redis::Value)> = self.connection.query(&command).await?;
        let pages = |(until, _)| Pages::new(self.connection.clone(), self.key.clone(), until);
        Ok(Letters(last.into_iter().next().map(pages)))
    }

    /// The letter at this entry, if there is one.
    ///
    /// # Errors
    /// [`BusError`] when Redis cannot be reached or refuses, as it does what is no id of an entry.
    pub async fn letter(&self, entry: &str) -> Result<Option<StoredLetter>, BusError> {
        let mut command = cmd("XRANGE");
        command.arg(&self.key).arg(entry).arg(entry);
        let found: Vec<Entry> = self.connection.query(&command).await?;
        Ok(found.into_iter().next().map(StoredLetter::from))
    }

    /// The ids of all messages in the stream of processed messages, from its start on.
    #[must_use]
    pub fn processed_ids(&self) -> ProcessedIds {
        ProcessedIds::new(self.connection.clone(), self.processed_stream.clone())
    }

    /// Deletes letters; answers how many there were.
    ///
    /// # Errors
    /// [`BusError`] when Redis cannot be reached or refuses.
    pub async fn delete(&self, entries: &[String]) -> Result<u64, BusError> {
        if entries.is_empty() {
            return Ok(0);
        }
        self.connection
            .query_once(cmd("XDEL").arg(&self.key).arg(entries))
            .await
    }
}
