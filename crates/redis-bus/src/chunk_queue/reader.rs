//! Reading the queue, as one of any number of readers.

use std::{
    process,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use gethostname::gethostname;
use protocol::{ChunkId, QueueIdentity};
use redis::{AsyncConnectionConfig, Cmd, ProtocolVersion, RedisResult, Value, cmd};
use tokio::time::Instant;

use super::{
    ChunkQueue, Indices, Lease, Leases, QueueError, STREAM_GROUP, chunk::unframed, leases::millis,
};
use crate::{BusError, link::Link};

/// How long a chunk is idle before another reader takes it over: several times as long as from one sign of
/// life of its reader to the next.
pub(super) const RECLAIM_IDLE: Duration = Duration::from_secs(15);

/// How long Redis waits for a chunk before it answers that there is none; less than a response may take, so
/// that waiting is not taken for silence.
const BLOCK: Duration = Duration::from_millis(500);

/// How often chunks to take over are looked for.
const RECLAIM_EVERY: Duration = Duration::from_secs(1);

/// The most chunks of one read: each may have 1 MiB.
const MOST: usize = 64;

/// A chunk as it was read.
#[derive(Debug)]
pub struct ReadChunk {
    /// The queue it is of.
    pub queue: QueueIdentity,
    /// Proof that this process was handed it.
    pub lease: Lease,
    /// Its messages, by index, as they were published.
    pub messages: Vec<Bytes>,
    /// Those that are settled already.
    pub settled: Indices,
    /// How often it was handed to a reader, this time included.
    pub deliveries: u64,
}

/// A reader with a connection of its own, on which it can wait.
#[derive(Debug)]
pub struct ChunkReader {
    queue: ChunkQueue,
    name: String,
    leases: Leases,
    found: Option<QueueIdentity>,
    link: Option<Link>,
    /// How many chunks the next read takes: chunks are of all sizes.
    count: usize,
    cursor: String,
    reclaim_at: Instant,
    round_trip: Duration,
}

impl ChunkReader {
    /// A reader under a name that no other has had: what a dead one left is taken over, not shared.
    #[must_use]
    pub fn new(queue: ChunkQueue) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let nanos = since.map_or(0, |since| since.as_nanos());
        let host = gethostname();
        let name = format!("{}-{}-{nanos:x}", host.to_string_lossy(), process::id());
        Self::named(queue, name)
    }

    /// The same, whose name begins with that of the worker it reads for.
    #[must_use]
    pub fn of_worker(queue: ChunkQueue, worker: &str) -> Self {
        let Self { queue, name, .. } = Self::new(queue);
        Self::named(queue, format!("{worker}-{name}"))
    }

    fn named(queue: ChunkQueue, name: String) -> Self {
        Self {
            leases: Leases::new(queue.clone(), name.clone()),
            queue,
            name,
            found: None,
            link: None,
            count: 1,
            cursor: "0-0".to_owned(),
            reclaim_at: Instant::now(),
            round_trip: Duration::ZERO,
        }
    }

    /// The name in the `StreamGroup`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The queue that the last call of [`Self::next`] has found, or made because there was none; told once.
    pub fn take_found(&mut self) -> Option<QueueIdentity> {
        self.found.take()
    }

    /// The chunks this reader was handed.
    #[must_use]
    pub fn leases(&self) -> &Leases {
        &self.leases
    }

    /// How long Redis took to answer lately; zero while nothing was read.
    #[must_use]
    pub fn round_trip(&self) -> Duration {
        self.round_trip
    }

    /// The next chunks, when there is room for so many more messages; empty when none came within half a
    /// second. A chunk is never divided, so there may be more messages than there is room for. What another
    /// reader died with comes, too, with the number of times it was handed out. If there is no queue, it is made.
    ///
    /// # Errors
    /// [`QueueError`]; it can be repeated.
    ///
    /// # Cancel safety
    /// Chunks may have been handed out by Redis already; they come again, to this reader or to another,
    /// once they have been idle for long enough.
    pub async fn next(&mut self, room: usize) -> Result<Vec<ReadChunk>, QueueError> {
        let count = self.count.min(room.max(1));
        let read = match self.reclaim(count).await {
            Ok(entries) if entries.is_empty() => self.read(count).await.map(|new| ("new", new)),
            reclaimed => reclaimed.map(|entries| ("reclaimed", entries)),
        };
        let (origin, entries) = match read {
            Ok(read) => read,
            Err(cause) if matches!(cause.code(), Some("NOGROUP" | "UNBLOCKED")) => {
                self.found = Some(self.queue.open().await?.0);
                return Ok(Vec::new());
            }
            Err(cause) => {
                // An answer that comes too late must not be taken for that to the next command.
                self.link = None;
                self.count = 1;
                return Err(cause.into());
            }
        };
        let chunks = self.taken(origin, entries).await?;
        self.adapt(&chunks, room);
        Ok(chunks)
    }

    /// Takes more chunks at once while they are small, as those of quiet times are.
    fn adapt(&mut self, chunks: &[ReadChunk], room: usize) {
        let messages: usize = chunks.iter().map(|chunk| chunk.messages.len()).sum();
        if chunks.len() == self.count && messages < room / 2 {
            self.count = (2 * self.count).min(MOST);
        } else if messages > room / 2 {
            self.count = (self.count / 2).max(1);
        }
    }

    /// Has the queue take note of what was handed out, and takes it in hand.
    async fn taken(
        &mut self,
        origin: &str,
        entries: Vec<Entry>,
    ) -> Result<Vec<ReadChunk>, QueueError> {
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        let asked = Instant::now();
        let mut noted = self.note(origin, &entries).await;
        if matches!(noted, Err(QueueError::Another { .. })) {
            self.queue.open().await?;
            noted = self.note(origin, &entries).await;
        }
        let (identity, notes): (String, Vec<(u64, Vec<u8>)>) = self.queue.read(noted?)?;
        let queue: QueueIdentity = self.queue.parse(&identity)?;
        self.found = Some(queue.clone());
        self.round_trip = (7 * self.round_trip + asked.elapsed()) / 8;
        let mut chunks = Vec::with_capacity(entries.len());
        for ((id, fields), (deliveries, progress)) in entries.into_iter().zip(notes) {
            let chunk: ChunkId = self.queue.parse(&id)?;
            let Some(lease) = self.leases.take(chunk) else {
                continue;
            };
            let messages = fields.into_iter().nth(1).unwrap_or_default();
            chunks.push(ReadChunk {
                queue: queue.clone(),
                lease,
                messages: unframed(chunk, messages.into()),
                settled: Indices::from_bytes(&progress),
                deliveries,
            });
        }
        Ok(chunks)
    }

    async fn note(&self, origin: &str, entries: &[Entry]) -> Result<Value, QueueError> {
        let script = &self.queue.0.scripts.taken;
        let noted = self.queue.run(script, None, |command| {
            command.arg(origin);
            for (id, _) in entries {
                command.arg(id);
            }
        });
        noted.await
    }

    /// Takes over what its reader has not kept alive, when it is time to look for that.
    async fn reclaim(&mut self, count: usize) -> Result<Vec<Entry>, BusError> {
        if Instant::now() < self.reclaim_at {
            return Ok(Vec::new());
        }
        let mut command = cmd("XAUTOCLAIM");
        command
            .arg(self.queue.key())
            .arg(STREAM_GROUP)
            .arg(&self.name);
        command.arg(millis(RECLAIM_IDLE)).arg(&self.cursor);
        command.arg("COUNT").arg(count);
        let answer = self.queue.0.connection.query(&command).await;
        let (cursor, entries, _deleted): (String, Vec<Entry>, Vec<String>) = answer?;
        if cursor == "0-0" {
            self.reclaim_at = Instant::now() + RECLAIM_EVERY;
        }
        self.cursor = cursor;
        Ok(entries)
    }

    /// Reads what no reader was handed yet.
    async fn read(&mut self, count: usize) -> Result<Vec<Entry>, BusError> {
        let endpoint = self.queue.0.connection.endpoint();
        let link = match &mut self.link {
            Some(link) if !link.has_ended() => link,
            place => {
                let config = AsyncConnectionConfig::new();
                let link = endpoint.connect(ProtocolVersion::RESP2, config).await?;
                place.insert(link)
            }
        };
        let mut command: Cmd = cmd("XREADGROUP");
        command.arg("GROUP").arg(STREAM_GROUP).arg(&self.name);
        command
            .arg("COUNT")
            .arg(count)
            .arg("BLOCK")
            .arg(millis(BLOCK));
        command.arg("STREAMS").arg(self.queue.key()).arg(">");
        let answer: RedisResult<Option<Streams>> = command.query_async(&mut link.asking()).await;
        let streams = answer.map_err(|cause| BusError::new(endpoint.at(), cause))?;
        let entries = streams.into_iter().flatten();
        Ok(entries.flat_map(|(_, entries)| entries).collect())
    }
}

/// An entry: its id and its fields.
type Entry = (String, Vec<Vec<u8>>);

/// The answer of `XREADGROUP`: for each stream its key, and its entries.
type Streams = Vec<(String, Vec<Entry>)>;
