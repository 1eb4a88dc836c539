//! Settles messages whose consumers do not: it records the results that they answered with, and counts those whose
//! results are elsewhere.

use std::{collections::HashMap, time::Duration};

use protocol::{Fields, Position, QueueIdentity};
use redis_bus::chunk_queue::{ChunkQueue, Outcome, QueueError, Settlement};
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

use crate::{
    delivery::{Delivery, Ending},
    intake::Buffer,
};

/// How many settlings may wait; the senders wait beyond that. Each is what one request brought.
pub(crate) const WAITING: usize = 256;

/// The most messages of one round trip.
const BATCH: usize = 512;

/// How often a failure that lasts is logged.
const WARN_EVERY: Duration = Duration::from_secs(10);

/// What is to be written of a message that a consumer has done with.
#[derive(Debug)]
pub(crate) enum Record {
    /// That it came to this; its result, if any, is elsewhere.
    Count(Outcome),
    /// Its result.
    Entry(Fields),
}

impl Record {
    /// That it ended so.
    pub(crate) fn count(ending: Ending) -> Self {
        Self::Count(match ending {
            Ending::Duplicate => Outcome::Duplicate,
            Ending::Processed | Ending::DeadLettered | Ending::Released => Outcome::Processed,
        })
    }
}

/// A delivery that a consumer has done with, still in the queue, with what it is to be counted as here.
#[derive(Debug)]
pub(crate) struct Unsettled {
    pub(crate) delivery: Delivery,
    pub(crate) ending: Ending,
    pub(crate) record: Record,
}

impl Unsettled {
    fn position(&self) -> Position {
        self.delivery.leased.at.position
    }
}

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
    queue: ChunkQueue,
    /// About how many entries the stream of processed messages keeps; zero: all.
    max_len: u64,
    /// Where what the queue has lost is offered to it again.
    buffer: Buffer,
    waiting: mpsc::Receiver<Settling>,
    failures: LogThrottle,
}

impl Settler {
    pub(crate) fn new(
        queue: ChunkQueue,
        max_len: u64,
        buffer: Buffer,
        waiting: mpsc::Receiver<Settling>,
    ) -> Self {
        let failures = LogThrottle::every(WARN_EVERY);
        Self {
            queue,
            max_len,
            buffer,
            waiting,
            failures,
        }
    }

    /// Settles a batch, again and again until all of it is.
    async fn settle(&self, batch: Vec<Unsettled>) {
        let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(1));
        let mut alike: HashMap<(QueueIdentity, Option<Outcome>), Vec<Unsettled>> = HashMap::new();
        for unsettled in batch {
            let outcome = match unsettled.record {
                Record::Count(outcome) => Some(outcome),
                Record::Entry(_) => None,
            };
            let queue = unsettled.delivery.leased.at.queue.clone();
            alike.entry((queue, outcome)).or_default().push(unsettled);
        }
        for ((queue, outcome), mut unsettled) in alike {
            while !unsettled.is_empty() {
                unsettled = self.settle_alike(&queue, outcome, unsettled).await;
                if !unsettled.is_empty() {
                    sleep(backoff.next_wait()).await;
                }
            }
        }
    }

    /// Settles what is of one queue and has one outcome, or entries; answers what is to be tried again.
    async fn settle_alike(
        &self,
        queue: &QueueIdentity,
        outcome: Option<Outcome>,
        unsettled: Vec<Unsettled>,
    ) -> Vec<Unsettled> {
        let settlements = match outcome {
            Some(outcome) => {
                let positions: Vec<_> = unsettled.iter().map(Unsettled::position).collect();
                self.queue.settle(queue, outcome, &positions).await
            }
            None => {
                let entries = unsettled.iter().filter_map(|one| match &one.record {
                    Record::Entry(fields) => Some((one.position(), fields)),
                    Record::Count(_) => None,
                });
                let entries: Vec<_> = entries.collect();
                self.queue.commit(queue, self.max_len, &entries).await
            }
        };
        let (mut settled, mut lost, mut again) = (Vec::new(), Vec::new(), Vec::new());
        for (one, settlement) in unsettled.into_iter().zip(settlements) {
            match (settlement, &one.record) {
                (Ok(Settlement::Settled | Settlement::Before), _)
                // What the queue has lost, or had before it was made anew, is done all the same.
                | (Ok(Settlement::Unknown) | Err(QueueError::Another { .. }), Record::Count(_)) => {
                    settled.push((one.delivery, one.ending));
                }
                // But its result is not recorded.
                (Ok(Settlement::Unknown) | Err(QueueError::Another { .. }), Record::Entry(_)) => {
                    lost.push(one.delivery);
                }
                (Err(cause), _) => {
                    self.warn(&cause);
                    again.push(one);
                }
            }
        }
        Delivery::finish_all(settled);
        if !lost.is_empty() {
            Delivery::offer_again(lost, &self.buffer);
        }
        again
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
        loop {
            let settlings = next_batch(&mut self.waiting, WAITING, &cancelled).await;
            if settlings.is_empty() {
                return;
            }
            let mut rooms = Vec::new();
            let mut unsettled = settlings.into_iter().flat_map(|settling| {
                rooms.extend(settling.room);
                settling.unsettled
            });
            loop {
                let batch: Vec<_> = unsettled.by_ref().take(BATCH).collect();
                if batch.is_empty() {
                    break;
                }
                self.settle(batch).await;
            }
        }
    }
}
