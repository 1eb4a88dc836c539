//! Settles messages whose consumers do not: it records the results that they answered with, and counts those whose
//! results are elsewhere.

use std::time::Duration;

use futures_util::{StreamExt, stream::FuturesUnordered};
use redis_bus::chunk_queue::QueueError;
use service_kit::{
    backoff::Backoff, batches::next_batch, log_throttle::LogThrottle, supervisor::Role,
    telemetry::chain,
};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    time::sleep,
};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::recorder::{Recorder, Unsettled, Written};

/// How many settlings may wait; the senders wait beyond that. Each is what one request brought.
pub(crate) const WAITING: usize = 256;

/// The most messages of one round trip.
const BATCH: usize = 512;

/// How many batches are on their way at once: while Redis works on one, the other travels.
const AT_ONCE: usize = 2;

/// How often a failure that lasts is logged.
const WARN_EVERY: Duration = Duration::from_secs(10);

/// What one request brought.
#[derive(Debug)]
pub(crate) struct Settling {
    pub(crate) unsettled: Vec<Unsettled>,
    /// The room that the answer took.
    pub(crate) room: Option<OwnedSemaphorePermit>,
}

/// The role that settles and records, and keeps trying while Redis does not let it. Meanwhile what waits here stays
/// this replica's, so that nobody delivers it again.
#[derive(Debug)]
pub(crate) struct Settler {
    waiting: mpsc::Receiver<Settling>,
    writer: Writer,
}

#[derive(Debug)]
struct Writer {
    recorder: Recorder,
    failures: LogThrottle,
}

impl Settler {
    pub(crate) fn new(recorder: Recorder, waiting: mpsc::Receiver<Settling>) -> Self {
        let failures = LogThrottle::every(WARN_EVERY);
        let writer = Writer { recorder, failures };
        Self { waiting, writer }
    }
}

impl Writer {
    /// Settles all that requests brought.
    async fn settle_all(&self, settlings: Vec<Settling>) {
        let mut rooms = Vec::new();
        let mut unsettled = settlings.into_iter().flat_map(|settling| {
            rooms.extend(settling.room);
            settling.unsettled
        });
        loop {
            let batch: Vec<_> = unsettled.by_ref().take(BATCH).collect();
            if batch.is_empty() {
                return;
            }
            self.settle(batch).await;
        }
    }

    /// Settles a batch, again and again until all of it is.
    async fn settle(&self, mut batch: Vec<Unsettled>) {
        let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(1));
        loop {
            let written = self.recorder.write(std::mem::take(&mut batch)).await;
            for written in written {
                if let Written::NotYet(unsettled, cause) = written {
                    self.warn(&cause);
                    batch.push(*unsettled);
                }
            }
            if batch.is_empty() {
                return;
            }
            sleep(backoff.next_wait()).await;
        }
    }

    fn warn(&self, cause: &QueueError) {
        if let Some(suppressed) = self.failures.due() {
            let cause = chain(cause);
            warn!(
                cause,
                suppressed, "cannot settle processed messages in the queue; trying again"
            );
        }
    }
}

impl Role for Settler {
    /// After cancellation it settles what still waits, then ends.
    async fn run(&mut self, cancelled: CancellationToken) {
        let Self { waiting, writer } = self;
        let mut under_way = FuturesUnordered::new();
        let mut is_empty = false;
        loop {
            let may_begin = under_way.len() < AT_ONCE && !is_empty;
            tokio::select! {
                settlings = next_batch(waiting, WAITING, &cancelled), if may_begin => {
                    is_empty = settlings.is_empty();
                    under_way.push(writer.settle_all(settlings));
                }
                Some(()) = under_way.next() => {}
                else => return,
            }
        }
    }
}
