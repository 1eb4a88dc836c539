//! Settles messages whose consumers record their results elsewhere.

use std::{collections::HashMap, time::Duration};

use protocol::{Position, QueueIdentity};
use redis_bus::chunk_queue::{ChunkQueue, Outcome, QueueError, Settlement};
use service_kit::{
    backoff::Backoff, batches::next_batch, log_throttle::LogThrottle, supervisor::Role,
    telemetry::chain,
};
use tokio::{sync::mpsc, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::delivery::{Delivery, Ending};

/// How many settlings may wait; the senders wait beyond that. Each is what one request brought.
pub(crate) const WAITING: usize = 256;

/// The most messages of one round trip.
const BATCH: usize = 512;

/// How often a failure that lasts is logged.
const WARN_EVERY: Duration = Duration::from_secs(10);

/// Deliveries that a consumer has done with, still in the queue, with what each is to be counted as.
#[derive(Debug)]
pub(crate) struct Settling(pub(crate) Vec<(Delivery, Ending)>);

/// The role that settles, and keeps trying while Redis does not let it. Meanwhile what waits here stays
/// this replica's, so that nobody delivers it again.
#[derive(Debug)]
pub(crate) struct Settler {
    queue: ChunkQueue,
    waiting: mpsc::Receiver<Settling>,
    failures: LogThrottle,
}

impl Settler {
    pub(crate) fn new(queue: ChunkQueue, waiting: mpsc::Receiver<Settling>) -> Self {
        let failures = LogThrottle::every(WARN_EVERY);
        Self {
            queue,
            waiting,
            failures,
        }
    }

    /// Settles a batch, again and again until all of it is.
    async fn settle(&self, batch: Vec<(Delivery, Ending)>) {
        let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(1));
        let mut alike: HashMap<(QueueIdentity, Outcome), Vec<(Delivery, Ending)>> = HashMap::new();
        for (delivery, ending) in batch {
            let outcome = match ending {
                Ending::Duplicate => Outcome::Duplicate,
                _ => Outcome::Processed,
            };
            let key = (delivery.leased.at.queue.clone(), outcome);
            alike.entry(key).or_default().push((delivery, ending));
        }
        for ((queue, outcome), mut deliveries) in alike {
            while !deliveries.is_empty() {
                deliveries = self.settle_alike(&queue, outcome, deliveries).await;
                if !deliveries.is_empty() {
                    sleep(backoff.next_wait()).await;
                }
            }
        }
    }

    /// Settles what is of one queue and has one outcome; answers what is to be tried again.
    async fn settle_alike(
        &self,
        queue: &QueueIdentity,
        outcome: Outcome,
        deliveries: Vec<(Delivery, Ending)>,
    ) -> Vec<(Delivery, Ending)> {
        let positions: Vec<Position> = deliveries
            .iter()
            .map(|(delivery, _)| delivery.leased.at.position)
            .collect();
        let settlements = self.queue.settle(queue, outcome, &positions).await;
        let (mut settled, mut again) = (Vec::new(), Vec::new());
        for ((delivery, ending), settlement) in deliveries.into_iter().zip(settlements) {
            match settlement {
                // What the queue has lost, or had before it was made anew, is done all the same.
                Ok(Settlement::Settled | Settlement::Before | Settlement::Unknown)
                | Err(QueueError::Another { .. }) => settled.push((delivery, ending)),
                Err(cause) => {
                    self.warn(&cause);
                    again.push((delivery, ending));
                }
            }
        }
        Delivery::finish_all(settled);
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
            let mut settled = settlings.into_iter().flat_map(|Settling(settled)| settled);
            loop {
                let batch: Vec<_> = settled.by_ref().take(BATCH).collect();
                if batch.is_empty() {
                    break;
                }
                self.settle(batch).await;
            }
        }
    }
}
