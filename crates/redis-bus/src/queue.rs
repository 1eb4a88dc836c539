//! The durable queue: a stream that messages wait in until they are settled.
//!
//! It is read through one of Redis's own consumer groups (the `StreamGroup`), by any number of readers: the
//! replicas of the group, and consumers that pull. Whoever was handed an entry keeps it alive until it is
//! settled; what is not kept alive another reader takes over.

mod account;
mod holding;
mod reader;
mod watch;

use std::time::{Duration, SystemTime};

use protocol::{Message, keys::in_slot_of};
use redis::{Cmd, cmd};

pub use self::{
    account::QueueAccount,
    holding::{Holding, Receipt},
    reader::{Keeper, QueueEntry, QueueReader},
    watch::ReaderStatus,
};
use crate::{
    Added, BusError, Connection, added::added_but, chunks::chunks, script::Script, windows::Windows,
};

/// The name of the `StreamGroup`.
pub const STREAM_GROUP: &str = "consumer-group";

/// How long an entry is idle before another reader takes it over: several times as long as from one sign
/// of life of its reader to the next.
const RECLAIM_IDLE: Duration = Duration::from_secs(15);

/// The id of an entry of the durable queue, such as `1700000000123-0`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EntryId(String);

impl EntryId {
    /// When the entry was added, to the millisecond, by the clock of Redis: an id begins with it
    /// (<https://redis.io/docs/latest/develop/data-types/streams/#entry-ids>).
    #[must_use]
    pub fn added_at(&self) -> SystemTime {
        let millis = self.0.split('-').next().and_then(|text| text.parse().ok());
        SystemTime::UNIX_EPOCH + Duration::from_millis(millis.unwrap_or_default())
    }

    /// The id as Redis writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A handle on the queue; clones share the connection.
#[derive(Debug, Clone)]
pub struct DurableQueue {
    connection: Connection,
    key: String,
    account_key: String,
    queued: Windows,
    create: Script,
    enqueue: Script,
    settle: Script,
    reclaim: Script,
    keep: Script,
    forget: Script,
    account: Script,
    watch: Script,
}

impl DurableQueue {
    /// The queue beside a stream of processed messages. Messages are told apart by their ids for
    /// `dedup_window`, which must not be zero where messages are added.
    #[must_use]
    pub fn new(connection: Connection, processed_stream: &str, dedup_window: Duration) -> Self {
        Self {
            connection,
            key: in_slot_of(processed_stream, "queue"),
            account_key: in_slot_of(processed_stream, "account"),
            queued: Windows::queued(processed_stream, dedup_window),
            create: Script::new(concat!(
                "#!lua\n",
                include_str!("queue/queue.lua"),
                include_str!("queue/create.lua")
            )),
            enqueue: Script::new(concat!(
                "#!lua\n",
                include_str!("windows.lua"),
                include_str!("queue/queue.lua"),
                include_str!("queue/enqueue.lua")
            )),
            settle: Script::new(concat!(
                "#!lua flags=allow-oom\n",
                include_str!("queue/queue.lua"),
                include_str!("queue/settle.lua")
            )),
            reclaim: Script::new(concat!(
                "#!lua flags=allow-oom\n",
                include_str!("queue/reclaim.lua")
            )),
            keep: Script::new(concat!(
                "#!lua flags=allow-oom\n",
                include_str!("queue/keep.lua")
            )),
            forget: Script::new(concat!(
                "#!lua flags=allow-oom\n",
                include_str!("queue/forget.lua")
            )),
            account: Script::new(concat!(
                "#!lua flags=no-writes\n",
                include_str!("queue/account.lua")
            )),
            watch: Script::new(concat!(
                "#!lua flags=no-writes\n",
                include_str!("queue/queue.lua"),
                include_str!("queue/watch.lua")
            )),
        }
    }

    /// The key of the stream.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The windows of the ids that were brought here.
    pub(crate) fn queued(&self) -> &Windows {
        &self.queued
    }

    /// Appends queue and account, as scripts expect them.
    pub(crate) fn add_keys(&self, command: &mut Cmd) {
        command.arg(&self.key).arg(&self.account_key);
    }

    /// Adds messages, each id once within the window; answers for each what became of it. After an
    /// error it can be repeated.
    pub async fn enqueue(&self, messages: &[Message]) -> Vec<Result<Added, BusError>> {
        let mut results = Vec::with_capacity(messages.len());
        for chunk in chunks(messages, |message| message.body().len()) {
            let call = |command: &mut Cmd| {
                command.arg(5);
                self.add_keys(command);
                self.queued.add_keys(command);
                command.arg(self.queued.seconds()).arg(chunk.len());
                for message in chunk {
                    command.arg(message.id().as_str());
                }
                for message in chunk {
                    command.arg(&message.body()[..]);
                }
            };
            let duplicates = self.connection.script(&self.enqueue, call).await;
            results.extend(added_but(duplicates, chunk.len()));
        }
        results
    }

    /// Takes entries out for good: those whose messages were processed, and those that were duplicates.
    /// Doing so again is of no effect.
    ///
    /// # Errors
    /// [`BusError`] when Redis cannot be reached or refuses; it can be repeated.
    pub async fn settle(
        &self,
        processed: &[EntryId],
        duplicate: &[EntryId],
    ) -> Result<(), BusError> {
        let call = |command: &mut Cmd| {
            command.arg(2);
            self.add_keys(command);
            command.arg(STREAM_GROUP).arg(processed.len());
            for entry in processed.iter().chain(duplicate) {
                command.arg(entry.as_str());
            }
        };
        self.connection.script(&self.settle, call).await
    }

    /// Gives back entries, so that any reader may take them over after `wait`. Each comes with how often
    /// it shall count as handed out.
    ///
    /// # Errors
    /// [`BusError`] when Redis cannot be reached or refuses; they are taken over later then.
    pub async fn give_back(
        &self,
        reader: &str,
        entries: &[(EntryId, u64)],
        wait: Duration,
    ) -> Result<(), BusError> {
        for chunk in chunks(entries, |_| 0) {
            let entries = chunk
                .iter()
                .map(|(entry, count)| (entry, count.to_string()));
            let idle = RECLAIM_IDLE.saturating_sub(wait);
            self.set_idle(reader, idle, entries).await?;
        }
        Ok(())
    }

    /// Makes entries look as if they had been idle for so long: for no time, and they are not taken
    /// over; for [`RECLAIM_IDLE`], and they are at once.
    async fn age(&self, reader: &str, entries: &[EntryId], idle: Duration) -> Result<(), BusError> {
        for chunk in chunks(entries, |_| 0) {
            let entries = chunk.iter().map(|entry| (entry, String::new()));
            self.set_idle(reader, idle, entries).await?;
        }
        Ok(())
    }

    async fn set_idle<'a>(
        &self,
        reader: &str,
        idle: Duration,
        entries: impl Iterator<Item = (&'a EntryId, String)> + Clone,
    ) -> Result<u64, BusError> {
        let call = |command: &mut Cmd| {
            command.arg(1).arg(&self.key).arg(STREAM_GROUP).arg(reader);
            command.arg(millis(idle));
            for (entry, count) in entries.clone() {
                command.arg(entry.as_str()).arg(count);
            }
        };
        self.connection.script(&self.keep, call).await
    }

    /// Takes over entries idle for `idle`; answers the cursor to go on with, and the entries.
    async fn reclaim(
        &self,
        reader: &str,
        idle: Duration,
        cursor: &str,
        most: usize,
    ) -> Result<(String, Vec<QueueEntry>), BusError> {
        let call = |command: &mut Cmd| {
            command.arg(1).arg(&self.key).arg(STREAM_GROUP).arg(reader);
            command.arg(millis(idle)).arg(cursor).arg(most);
        };
        let (cursor, entries): (String, Vec<(String, Vec<u8>, u64)>) =
            self.connection.script(&self.reclaim, call).await?;
        let entries = entries
            .into_iter()
            .map(|(id, payload, deliveries)| QueueEntry {
                id: EntryId(id),
                payload: payload.into(),
                deliveries,
            });
        Ok((cursor, entries.collect()))
    }

    /// Creates the stream and its `StreamGroup` unless they exist.
    async fn create_group(&self) -> Result<(), BusError> {
        let call = |command: &mut Cmd| {
            command.arg(2);
            self.add_keys(command);
            command.arg(STREAM_GROUP);
        };
        self.connection.script(&self.create, call).await
    }

    /// Deletes a reader that has nothing pending.
    ///
    /// # Errors
    /// [`BusError`] when Redis cannot be reached or refuses.
    pub async fn forget_reader(&self, reader: &str) -> Result<(), BusError> {
        self.forget(reader, Duration::ZERO).await
    }

    async fn forget(&self, reader: &str, idle: Duration) -> Result<(), BusError> {
        let call = |command: &mut Cmd| {
            command.arg(1).arg(&self.key).arg(STREAM_GROUP).arg(reader);
            command.arg(millis(idle));
        };
        self.connection.script(&self.forget, call).await
    }

    /// Whether anybody ever read the queue since it was created.
    ///
    /// # Errors
    /// [`BusError`] when Redis cannot be reached or refuses.
    pub async fn is_in_use(&self) -> Result<bool, BusError> {
        let groups: Result<Vec<redis::Value>, _> = self
            .connection
            .query(cmd("XINFO").arg("GROUPS").arg(&self.key))
            .await;
        match groups {
            Ok(groups) => Ok(!groups.is_empty()),
            Err(cause) if cause.code() == Some("ERR") => Ok(false),
            Err(cause) => Err(cause),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
