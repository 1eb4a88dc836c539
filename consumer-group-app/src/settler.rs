//! Takes messages that consumers processed out of the durable queue.

use std::time::Duration;

use redis_bus::queue::{DurableQueue, Receipt};
use service_kit::{
    backoff::Backoff, batches::next_batch, occasionally::Occasionally, supervisor::Role,
    telemetry::chain,
};
use tokio::{sync::mpsc, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::delivery::{Delivery, Ending};

/// How many settlings may wait; the outboxes wait beyond that. Each is what one request brought.
pub(crate) const WAITING: usize = 256;

/// The most messages of one round trip.
const BATCH: usize = 512;

/// How often a failure that lasts is logged.
const WARN_EVERY: Duration = Duration::from_secs(10);

/// Deliveries that a consumer has done with, still in the durable queue, with what each is to be counted as.
#[derive(Debug)]
pub(crate) struct Settling(pub(crate) Vec<(Delivery, Ending)>);

/// The role that settles, and keeps trying while Redis does not let it. Meanwhile what waits here stays
/// this replica's, so that nobody delivers it again.
#[derive(Debug)]
pub(crate) struct Settler {
    queue: DurableQueue,
    waiting: mpsc::Receiver<Settling>,
    failures: Occasionally,
}

impl Settler {
    pub(crate) fn new(queue: DurableQueue, waiting: mpsc::Receiver<Settling>) -> Self {
        let failures = Occasionally::every(WARN_EVERY);
        Self {
            queue,
            waiting,
            failures,
        }
    }

    async fn settle(&self, batch: Vec<(Delivery, Ending)>) {
        let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(1));
        let (mut processed, mut duplicate) = (Vec::new(), Vec::new());
        for (delivery, ending) in &batch {
            let kind = match ending {
                Ending::Duplicate => &mut duplicate,
                _ => &mut processed,
            };
            let receipt = delivery.held.receipt.as_deref();
            kind.extend(receipt.map(Receipt::entry).cloned());
        }
        while let Err(cause) = self.queue.settle(&processed, &duplicate).await {
            if let Some(held_back) = self.failures.due() {
                let (cause, messages) = (chain(&cause), batch.len());
                warn!(
                    cause,
                    messages,
                    held_back,
                    "cannot take processed messages out of the durable queue; trying again"
                );
            }
            sleep(backoff.next_wait()).await;
        }
        Delivery::finish_all(batch);
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
