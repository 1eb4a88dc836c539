//! Reading, replaying and deleting dead letters.

use std::{collections::HashSet, time::Duration};

use bytes::Bytes;
use protocol::{Message, dead_letter::field};
use redis::{Cmd, cmd};

use crate::{BusError, Connection, queue::DurableQueue, script::Script, windows::Windows};

/// How many entries are read at once.
const PAGE: usize = 500;

/// A dead letter as it stands in the stream.
#[derive(Debug, Clone)]
pub struct StoredLetter {
    /// Its id in the stream, such as `1700000000123-0`.
    pub entry: String,
    /// Its fields, in order.
    pub fields: Vec<(String, Bytes)>,
}

impl StoredLetter {
    /// The value of a field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Bytes> {
        let found = self.fields.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value)
    }

    /// The value of a field as text; what is no text is shown as U+FFFD.
    #[must_use]
    pub fn text(&self, name: &str) -> String {
        let value = self.field(name).map(|value| String::from_utf8_lossy(value));
        value.unwrap_or_default().into_owned()
    }

    /// The message, if what was given up on was one.
    #[must_use]
    pub fn message(&self) -> Option<Message> {
        Message::parse(self.field(field::PAYLOAD)?.clone()).ok()
    }
}

/// Which way a replayed message goes.
#[derive(Debug, Clone)]
pub enum Replay {
    /// To the durable queue.
    Queue,
    /// To this channel.
    Channel(String),
}

/// What became of a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replayed {
    /// The message is on its way and the letter is removed.
    Sent,
    /// There is no such letter any more.
    Gone,
    /// Nobody listens to the channel; the letter stays.
    Unheard,
}

/// The dead letters, for whoever looks after them.
#[derive(Debug, Clone)]
pub struct DeadLetters {
    connection: Connection,
    key: String,
    processed_stream: String,
    settled: Windows,
    queue: DurableQueue,
    replay: Script,
}

type Page = Vec<(String, Vec<(String, Vec<u8>)>)>;

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
        }
    }

    /// How many there are.
    ///
    /// # Errors
    /// [`BusError`] when Redis cannot be reached or refuses.
    pub async fn count(&self) -> Result<u64, BusError> {
        self.connection.query(cmd("XLEN").arg(&self.key)).await
    }

    /// Some of the letters after the entry `after`, oldest first; from the first when `None`. Empty at
    /// the end.
    ///
    /// # Errors
    /// [`BusError`] when Redis cannot be reached or refuses.
    pub async fn page(&self, after: Option<&str>) -> Result<Vec<StoredLetter>, BusError> {
        let page = self.range(&self.key, after).await?;
        let letters = page.into_iter().map(|(entry, fields)| StoredLetter {
            entry,
            fields: fields
                .into_iter()
                .map(|(name, value)| (name, Bytes::from(value)))
                .collect(),
        });
        Ok(letters.collect())
    }

    async fn range(&self, key: &str, after: Option<&str>) -> Result<Page, BusError> {
        let start = after.map_or_else(|| "-".to_owned(), |after| format!("({after}"));
        let mut command = cmd("XRANGE");
        command.arg(key).arg(start).arg("+").arg("COUNT").arg(PAGE);
        self.connection.query(&command).await
    }

    /// Which of `ids` have an entry in the stream of processed messages that is younger than the entry
    /// `since` of the dead letters. It reads the stream from there to its end.
    ///
    /// # Errors
    /// [`BusError`] when Redis cannot be reached or refuses.
    pub async fn processed_since(
        &self,
        since: &str,
        ids: &HashSet<String>,
    ) -> Result<HashSet<String>, BusError> {
        let mut found = HashSet::new();
        let mut after = since.to_owned();
        loop {
            let page = self.range(&self.processed_stream, Some(&after)).await?;
            let Some((last, _)) = page.last() else {
                return Ok(found);
            };
            after = last.clone();
            for (_, fields) in page {
                let id = fields
                    .into_iter()
                    .find(|(n, _)| n == protocol::message::MESSAGE_ID);
                if let Some(id) = id.and_then(|(_, value)| String::from_utf8(value).ok())
                    && ids.contains(&id)
                {
                    found.insert(id);
                }
            }
        }
    }

    /// Sends a letter's message on its way again and removes the letter, in one step.
    ///
    /// # Errors
    /// [`BusError`] when Redis cannot be reached or refuses. It may have been done; doing it again is
    /// of no effect then.
    pub async fn replay(
        &self,
        entry: &str,
        message: &Message,
        way: &Replay,
    ) -> Result<Replayed, BusError> {
        let call = |command: &mut Cmd| {
            command.arg(7).arg(&self.key);
            self.queue.add_keys(command);
            command
                .arg(self.settled.sets())
                .arg(self.queue.queued().sets());
            command
                .arg(entry)
                .arg(message.id().as_str())
                .arg(&message.body()[..])
                .arg(match way {
                    Replay::Queue => "",
                    Replay::Channel(channel) => channel,
                });
        };
        let answer: String = self.connection.script(&self.replay, call).await?;
        Ok(match answer.as_str() {
            "replayed" => Replayed::Sent,
            "unheard" => Replayed::Unheard,
            _ => Replayed::Gone,
        })
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
            .query(cmd("XDEL").arg(&self.key).arg(entries))
            .await
    }

    /// Whether a durable queue is in use, so that replays should go there.
    ///
    /// # Errors
    /// [`BusError`] when Redis cannot be reached or refuses.
    pub async fn has_durable_queue(&self) -> Result<bool, BusError> {
        self.queue.is_in_use().await
    }
}
