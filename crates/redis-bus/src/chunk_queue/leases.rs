//! The chunks that this process answers for, and the sign of life it gives for them.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use protocol::ChunkId;
use redis::Cmd;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::debug;

use super::{ChunkQueue, STREAM_GROUP, reader::RECLAIM_IDLE};
use crate::BusError;

/// How often a sign of life is given.
const KEEP_EVERY: Duration = Duration::from_secs(3);

/// How long a reader with nothing pending is silent before it is deleted, and how often that is done.
const FORGET_IDLE: Duration = Duration::from_secs(600);
const FORGET_EVERY: Duration = Duration::from_secs(60);

/// The chunks that one reader was handed and has not let go; clones share them.
#[derive(Debug, Clone)]
pub struct Leases(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    queue: ChunkQueue,
    reader: String,
    held: Mutex<HashSet<ChunkId>>,
}

/// Proof that a chunk was handed to this process; clones share it, one for each message that is not done
/// with.
///
/// While one of them lives the chunk is kept alive. When the last is dropped and the chunk is not settled,
/// another reader takes over the rest of it in time.
#[derive(Debug, Clone)]
pub struct Lease(Arc<KeptChunk>);

#[derive(Debug)]
struct KeptChunk {
    chunk: ChunkId,
    leases: Leases,
}

impl Lease {
    /// The chunk.
    #[must_use]
    pub fn chunk(&self) -> ChunkId {
        self.0.chunk
    }

    /// The reader that was handed it.
    pub(super) fn reader(&self) -> &str {
        &self.0.leases.0.reader
    }
}

impl Drop for KeptChunk {
    fn drop(&mut self) {
        self.leases.held().remove(&self.chunk);
    }
}

impl Leases {
    pub(super) fn new(queue: ChunkQueue, reader: String) -> Self {
        Self(Arc::new(Shared {
            queue,
            reader,
            held: Mutex::default(),
        }))
    }

    fn held(&self) -> MutexGuard<'_, HashSet<ChunkId>> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a chunk in hand that the reader was handed; `None` when it is already.
    #[must_use]
    pub fn take(&self, chunk: ChunkId) -> Option<Lease> {
        let is_new = self.held().insert(chunk);
        is_new.then(|| {
            Lease(Arc::new(KeptChunk {
                chunk,
                leases: self.clone(),
            }))
        })
    }

    fn all(&self) -> Vec<ChunkId> {
        self.held().iter().copied().collect()
    }

    /// Gives a sign of life for what is held, for ever; every so often it deletes readers that are long gone.
    pub async fn keep(&self) {
        let mut tick = interval(KEEP_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut forget_at = Instant::now();
        loop {
            tick.tick().await;
            if let Err(cause) = self.set_idle(Duration::ZERO).await {
                // Nothing is lost: what is not kept alive is handed out again, and settled once.
                debug!(%cause, "cannot give a sign of life for chunks of the queue");
            } else if Instant::now() >= forget_at {
                forget_at = Instant::now() + FORGET_EVERY;
                if let Err(cause) = self.forget("", FORGET_IDLE).await {
                    debug!(%cause, "cannot delete readers that are gone");
                }
            }
        }
    }

    /// Gives back a chunk, so that a reader may take over what is unsettled of it after `wait`, this one too. It
    /// counts as handed out `deliveries` times so far, by which whoever did not try it can take itself out.
    ///
    /// # Errors
    /// [`BusError`] when Redis cannot be reached or refuses; the chunk is taken over later then.
    pub async fn give_back(
        &self,
        lease: Lease,
        deliveries: u64,
        wait: Duration,
    ) -> Result<(), BusError> {
        let chunk = lease.chunk();
        // No longer ours, so that this reader may be handed it again.
        drop(lease);
        let idle = RECLAIM_IDLE.saturating_sub(wait);
        self.claim(&[chunk], idle, Some(deliveries)).await
    }

    /// Has a chunk that is held count as handed out so many times: for when what made it come again is settled.
    ///
    /// # Errors
    /// [`BusError`] when Redis cannot be reached or refuses; it counts as it did then.
    pub async fn recount(&self, lease: &Lease, deliveries: u64) -> Result<(), BusError> {
        self.claim(&[lease.chunk()], Duration::ZERO, Some(deliveries))
            .await
    }

    /// Gives back all that is still held, and deletes the reader.
    ///
    /// # Errors
    /// [`BusError`] when Redis cannot be reached or refuses; what is held is taken over in time then.
    pub async fn leave(&self) -> Result<(), BusError> {
        self.set_idle(RECLAIM_IDLE).await?;
        self.forget(&self.0.reader, Duration::ZERO).await
    }

    /// Has Redis think that what is held has been idle for so long.
    async fn set_idle(&self, idle: Duration) -> Result<(), BusError> {
        let held = self.all();
        if held.is_empty() {
            return Ok(());
        }
        self.claim(&held, idle, None).await
    }

    /// Sets the idle time of chunks that are still this reader's, and how often they count as handed out.
    async fn claim(
        &self,
        chunks: &[ChunkId],
        idle: Duration,
        deliveries: Option<u64>,
    ) -> Result<(), BusError> {
        let deliveries = deliveries.map_or_else(String::new, |count| count.to_string());
        let call = |command: &mut Cmd| {
            command.arg(1).arg(self.0.queue.key()).arg(STREAM_GROUP);
            command.arg(&self.0.reader).arg(millis(idle));
            for chunk in chunks {
                command.arg(chunk.to_string()).arg(&deliveries);
            }
        };
        let queue = &self.0.queue.0;
        queue.connection.script(&queue.scripts.keep, call).await
    }

    async fn forget(&self, reader: &str, idle: Duration) -> Result<(), BusError> {
        let queue = &self.0.queue.0;
        let call = |command: &mut Cmd| {
            command.arg(1).arg(&queue.keys.queue).arg(STREAM_GROUP);
            command.arg(reader).arg(millis(idle));
        };
        queue.connection.script(&queue.scripts.forget, call).await
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
