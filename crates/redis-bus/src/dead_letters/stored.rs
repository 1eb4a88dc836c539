//! Reading, replaying and deleting dead letters.

use std::time::Duration;

use protocol::Message;
use redis::{Cmd, cmd};

use super::{
    ProcessedIds, StoredLetter,
    pages::{Entry, Pages},
};
use crate::{
    BusError, Connection,
    chunk_queue::ChunkQueue,
    chunks::{chunks, each},
    queue::DurableQueue,
    script::Script,
    windows::Windows,
};

/// A letter whose message can be sent again.
#[derive(Debug, Clone)]
pub struct FitLetter {
    /// Its id in the stream.
    pub entry: String,
    /// The message.
    pub message: Message,
}

/// Which way a replayed message goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// To the durable queue.
    Queue,
    /// To this channel.
    Channel(String),
    /// To the queue of chunks, if these are its letters: see [`DeadLetters::of_chunks`].
    Chunks,
}

/// What became of a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replayed {
    /// The message is on its way and the letter is removed.
    Sent,
    /// The message is remembered as processed; the letter stays.
    Processed,
    /// There is no such letter any more.
    Gone,
    /// Nobody listens to the channel; the letter stays.
    Unheard,
    /// A message of the same id was admitted since the letter was written; the letter stays.
    Admitted,
}

impl From<String> for Replayed {
    fn from(answer: String) -> Self {
        match answer.as_str() {
            "replayed" => Self::Sent,
            "processed" => Self::Processed,
            "unheard" => Self::Unheard,
            _ => Self::Gone,
        }
    }
}

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
    settled: Windows,
    queue: DurableQueue,
    replay: Script,
    pub(super) latest: Script,
    pub(super) newest: Script,
}

impl DeadLetters {
    /// The dead letters under `key`, of messages that would have been processed to `processed_stream`.
    #[must_use]
    pub fn new(connection: Connection, key: String, processed_stream: String) -> Self {
        let queue = DurableQueue::new(connection.clone(), &processed_stream, Duration::ZERO);
        Self {
            settled: Windows::settled(&processed_stream, Duration::ZERO),
            connection,
            key,
            processed_stream,
            queue,
            replay: Script::new(concat!(
                "#!lua\n",
                include_str!("../queue/queue.lua"),
                include_str!("replay.lua")
            )),
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

    /// The dead letters of the queue of chunks beside `processed_stream`.
    #[must_use]
    pub fn of_chunks(connection: Connection, processed_stream: String) -> Self {
        let queue = ChunkQueue::new(connection.clone(), &processed_stream);
        Self::new(connection, queue.failed_key().to_owned(), processed_stream)
    }

    /// The queue of chunks beside the stream of processed messages.
    #[must_use]
    pub fn chunk_queue(&self) -> ChunkQueue {
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

    /// Sends the messages of letters to the durable queue, or to a channel, and removes these letters, each in
    /// one step; answers for each what became of it.
    ///
    /// After an error it may have been done; doing it again is of no effect then.
    pub(super) async fn replay(
        &self,
        letters: &[FitLetter],
        channel: Option<&str>,
    ) -> Vec<Result<Replayed, BusError>> {
        self.run_replay("replay", letters, channel).await
    }

    /// Answers what [`DeadLetters::replay`] would, and changes nothing.
    pub(super) async fn rehearse(
        &self,
        letters: &[FitLetter],
        channel: Option<&str>,
    ) -> Vec<Result<Replayed, BusError>> {
        self.run_replay("rehearse", letters, channel).await
    }

    async fn run_replay(
        &self,
        verb: &str,
        letters: &[FitLetter],
        channel: Option<&str>,
    ) -> Vec<Result<Replayed, BusError>> {
        let (kind, channel) = match channel {
            Some(channel) => ("channel", channel),
            None => ("queue", ""),
        };
        let mut results = Vec::with_capacity(letters.len());
        for chunk in chunks(letters, |letter| letter.message.body().len()) {
            let call = |command: &mut Cmd| {
                command.arg(7).arg(&self.key);
                self.queue.add_keys(command);
                command
                    .arg(self.settled.sets())
                    .arg(self.queue.queued().sets())
                    .arg(verb)
                    .arg(kind)
                    .arg(channel);
                for FitLetter { entry, message } in chunk {
                    command.arg(entry).arg(message.id().as_str());
                }
            };
            let answers = self.connection.script_once(&self.replay, call).await;
            results.extend(each::<String, _>(answers, chunk.len(), Replayed::from));
        }
        results
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

    /// How many messages are in the durable queue, and whether somebody reads it just now.
    ///
    /// # Errors
    /// [`BusError`] when Redis cannot be reached or refuses.
    pub async fn durable_queue(&self) -> Result<(u64, bool), BusError> {
        let account = self.queue.account().await?;
        let is_read = self.queue.is_read().await?;
        Ok((account.in_flight + account.queued, is_read))
    }

    /// Whether a durable queue was ever read, so that replays may go there.
    ///
    /// # Errors
    /// [`BusError`] when Redis cannot be reached or refuses.
    pub async fn has_durable_queue(&self) -> Result<bool, BusError> {
        self.queue.is_in_use().await
    }
}
