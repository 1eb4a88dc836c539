//! Reading the durable queue, as one of any number of readers.

use std::{
    process,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use redis::{AsyncConnectionConfig, ProtocolVersion, cmd};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::debug;

use super::{DurableQueue, EntryId, Holding, RECLAIM_IDLE, Receipt, STREAM_GROUP};
use crate::{BusError, Endpoint, link::Link};

/// How long Redis waits for an entry before it answers that there is none; less than a response may
/// take, so that waiting is not taken for silence.
const BLOCK: Duration = Duration::from_millis(500);

/// How often held entries are kept alive.
const KEEP_EVERY: Duration = Duration::from_secs(3);

/// How often entries to take over are looked for.
const RECLAIM_EVERY: Duration = Duration::from_secs(1);

/// The most entries of one read, so that large messages do not come all at once. After a read that
/// failed, maybe for taking too long on a slow network, it is one, and one more with each that succeeds.
const MOST: usize = 128;

/// How long a reader with nothing pending is silent before it is deleted, and how often that is done.
const FORGET_IDLE: Duration = Duration::from_secs(600);
const FORGET_EVERY: Duration = Duration::from_secs(60);

/// An entry as it was read.
#[derive(Debug)]
pub struct QueueEntry {
    /// Its id in the stream.
    pub id: EntryId,
    /// The message as it was published.
    pub payload: Bytes,
    /// How often the entry was handed to a reader, this time included.
    pub deliveries: u64,
}

/// A reader with a connection of its own, on which it can wait.
#[derive(Debug)]
pub struct QueueReader {
    endpoint: Endpoint,
    queue: DurableQueue,
    name: String,
    holding: Holding,
    link: Option<Link>,
    most: usize,
    cursor: String,
    reclaim_at: Instant,
}

impl QueueReader {
    /// A reader under a name that no other has had: what a dead one left is taken over, not shared.
    #[must_use]
    pub fn new(endpoint: Endpoint, queue: DurableQueue) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let nanos = since.map_or(0, |since| since.as_nanos());
        let name = format!("{}-{}-{nanos:x}", hostname(), process::id());
        Self {
            endpoint,
            queue,
            name,
            holding: Holding::default(),
            link: None,
            most: MOST,
            cursor: "0-0".to_owned(),
            reclaim_at: Instant::now(),
        }
    }

    /// The name in the `StreamGroup`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What keeps alive the entries this reader handed out.
    #[must_use]
    pub fn keeper(&self) -> Keeper {
        Keeper {
            queue: self.queue.clone(),
            reader: self.name.clone(),
            holding: self.holding.clone(),
        }
    }

    /// Creates the queue and its `StreamGroup` unless they exist, so that others see it is in use.
    ///
    /// # Errors
    /// [`BusError`] when Redis cannot be reached or refuses; [`QueueReader::next`] does it then.
    pub async fn create_queue(&self) -> Result<(), BusError> {
        self.queue.create_group().await
    }

    /// The next entries, `most` at the most; empty when none came within half a second. What another
    /// reader died with comes, too, with the number of times it was handed out.
    ///
    /// # Errors
    /// [`BusError`] when Redis cannot be reached or refuses; call it again after a while.
    ///
    /// # Cancel safety
    /// Entries may have been handed out by Redis already; they come again, to this reader or to another,
    /// once they have been idle for long enough.
    pub async fn next(&mut self, most: usize) -> Result<Vec<(QueueEntry, Receipt)>, BusError> {
        let most = most.min(self.most);
        let read = match self.reclaim(most).await {
            Ok(entries) if entries.is_empty() => self.read(most).await,
            reclaimed => reclaimed,
        };
        match read {
            Ok(entries) => {
                self.most = (self.most + 1).min(MOST);
                let taken = entries.into_iter().filter_map(|entry| {
                    let receipt = self.holding.take(entry.id.clone())?;
                    Some((entry, receipt))
                });
                Ok(taken.collect())
            }
            // The queue is new, or was deleted.
            Err(cause) if matches!(cause.code(), Some("NOGROUP" | "UNBLOCKED")) => {
                self.queue.create_group().await?;
                Ok(Vec::new())
            }
            Err(cause) => {
                // An answer that comes too late must not be taken for that to the next command.
                self.link = None;
                self.most = 1;
                Err(cause)
            }
        }
    }

    /// Takes over what its reader has not kept alive, when it is time to look for that.
    async fn reclaim(&mut self, most: usize) -> Result<Vec<QueueEntry>, BusError> {
        if Instant::now() < self.reclaim_at {
            return Ok(Vec::new());
        }
        let reclaimed = self
            .queue
            .reclaim(&self.name, RECLAIM_IDLE, &self.cursor, most)
            .await;
        let (cursor, entries) = reclaimed?;
        if cursor == "0-0" {
            self.reclaim_at = Instant::now() + RECLAIM_EVERY;
        }
        self.cursor = cursor;
        Ok(entries)
    }

    /// Reads what no reader was handed yet.
    async fn read(&mut self, most: usize) -> Result<Vec<QueueEntry>, BusError> {
        let link = match &mut self.link {
            Some(link) if !link.has_ended() => link,
            place => {
                let config = AsyncConnectionConfig::new();
                let link = self
                    .endpoint
                    .connect(ProtocolVersion::RESP2, config)
                    .await?;
                place.insert(link)
            }
        };
        let answer: redis::RedisResult<Option<Streams>> = cmd("XREADGROUP")
            .arg("GROUP")
            .arg(STREAM_GROUP)
            .arg(&self.name)
            .arg("COUNT")
            .arg(most)
            .arg("BLOCK")
            .arg(super::millis(BLOCK))
            .arg("STREAMS")
            .arg(self.queue.key())
            .arg(">")
            .query_async(&mut link.asking())
            .await;
        let streams = answer.map_err(|cause| BusError::new(self.endpoint.at(), cause))?;
        let entries = streams
            .into_iter()
            .flatten()
            .flat_map(|(_, entries)| entries);
        Ok(entries
            .map(|(id, fields)| QueueEntry {
                id: EntryId(id),
                payload: fields.into_iter().nth(1).unwrap_or_default().into(),
                deliveries: 1,
            })
            .collect())
    }
}

/// The answer of `XREADGROUP`: for each stream its key, and its entries with their fields.
type Streams = Vec<(String, Vec<(String, Vec<Vec<u8>>)>)>;

/// Keeps alive the entries a reader handed out, until they are settled.
#[derive(Debug, Clone)]
pub struct Keeper {
    queue: DurableQueue,
    reader: String,
    holding: Holding,
}

impl Keeper {
    /// Gives back all that is still held, and deletes the reader.
    ///
    /// # Errors
    /// [`BusError`] when Redis cannot be reached or refuses; what is held is taken over in time then.
    pub async fn leave(&self) -> Result<(), BusError> {
        let held = self.holding.all();
        self.queue.age(&self.reader, &held, RECLAIM_IDLE).await?;
        self.queue.forget_reader(&self.reader).await
    }

    /// Keeps alive what is held, for ever; every so often it deletes readers that are long gone.
    pub async fn keep(&self) {
        let mut tick = interval(KEEP_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut forget_at = Instant::now();
        loop {
            tick.tick().await;
            let held = self.holding.all();
            let kept = self.queue.age(&self.reader, &held, Duration::ZERO).await;
            if let Err(cause) = kept {
                // Nothing is lost: what is not kept alive is delivered again, and recorded once.
                debug!(%cause, "cannot keep entries of the durable queue alive");
            } else if Instant::now() >= forget_at {
                forget_at = Instant::now() + FORGET_EVERY;
                if let Err(cause) = self.queue.forget("", FORGET_IDLE).await {
                    debug!(%cause, "cannot delete readers that are gone");
                }
            }
        }
    }
}

fn hostname() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "reader".to_owned(), |name| name.trim().to_owned())
}
