//! Reads the queue, no more of it than there is room for.

use std::time::Duration;

use redis_bus::chunk_queue::{ChunkReader, Leases, QueueError};
use service_kit::{
    backoff::Backoff, log_throttle::LogThrottle, supervisor::Role, telemetry::chain,
};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::queue::receiver::ChunkReceiver;

/// How often to look for room behind every wake-up.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// How often a failure that lasts is logged.
const WARN_EVERY: Duration = Duration::from_secs(10);

/// The role that reads what no replica was handed when it was admitted, and what others died with.
#[derive(Debug)]
pub(crate) struct Reader {
    reader: ChunkReader,
    receiver: ChunkReceiver,
    failures: LogThrottle,
}

impl Reader {
    pub(crate) fn new(reader: ChunkReader, receiver: ChunkReceiver) -> Self {
        Self {
            reader,
            receiver,
            failures: LogThrottle::every(WARN_EVERY),
        }
    }

    /// Reads once, if there is room for something.
    async fn read(&mut self) -> Result<(), QueueError> {
        let room = self.receiver.room();
        if room == 0 {
            // Running out of time is the slow poll behind the wake-up.
            let _woken = timeout(LOOK_AGAIN, self.receiver.has_room()).await;
            return Ok(());
        }
        let chunks = self.reader.next(room).await?;
        if let Some(queue) = self.reader.take_found() {
            self.receiver.messages.found(&queue);
        }
        let again = chunks.iter().filter(|chunk| chunk.deliveries > 1);
        let left = again.map(|chunk| chunk.messages.len() - chunk.settled.len());
        let messages: usize = left.sum();
        if messages > 0 {
            info!(
                messages,
                "took over messages that were handed out before, to whoever did not finish them"
            );
        }
        for chunk in chunks {
            self.receiver.take_read(chunk).await;
        }
        Ok(())
    }

    fn warn(&self, cause: &QueueError) {
        if let Some(suppressed) = self.failures.due() {
            let cause = chain(cause);
            warn!(cause, suppressed, "cannot read the queue; trying again");
        }
    }
}

impl Role for Reader {
    /// Reads until cancelled; what was asked for by then is waited for.
    async fn run(&mut self, cancelled: CancellationToken) {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
        while !cancelled.is_cancelled() {
            match self.read().await {
                Ok(()) => backoff.reset(),
                Err(cause) => {
                    self.warn(&cause);
                    backoff.wait(&cancelled).await;
                }
            }
        }
    }
}

/// The role that gives a sign of life for what this replica was handed, for longer than it reads.
#[derive(Debug)]
pub(crate) struct LeaseKeeper(pub(crate) Leases);

impl Role for LeaseKeeper {
    async fn run(&mut self, cancelled: CancellationToken) {
        tokio::select! {
            () = self.0.keep() => {}
            () = cancelled.cancelled() => {}
        }
    }
}
