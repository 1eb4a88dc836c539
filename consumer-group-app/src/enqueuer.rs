//! Brings what the listener heard to the durable queue.

use std::time::Duration;

use redis_bus::queue::DurableQueue;
use service_kit::{
    backoff::Backoff, occasionally::Occasionally, supervisor::Role, telemetry::chain,
};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::{delivery::Ending, queue::MemoryQueue};

/// The most messages of one round trip.
const BATCH: usize = 512;

/// How often a failure that lasts is logged.
const WARN_EVERY: Duration = Duration::from_secs(10);

/// The role between the buffer and the durable queue. What Redis does not take stays in the buffer.
#[derive(Debug)]
pub(crate) struct Enqueuer {
    buffer: MemoryQueue,
    queue: DurableQueue,
    failures: Occasionally,
}

impl Enqueuer {
    pub(crate) fn new(buffer: MemoryQueue, queue: DurableQueue) -> Self {
        let failures = Occasionally::every(WARN_EVERY);
        Self {
            buffer,
            queue,
            failures,
        }
    }

    /// Brings over a batch; says whether Redis took all of it.
    async fn step(&self) -> bool {
        let deliveries = self.buffer.take(BATCH);
        let messages: Vec<_> = deliveries
            .iter()
            .map(|delivery| delivery.held.message.clone())
            .collect();
        let results = self.queue.enqueue(&messages).await;
        let mut failure = None;
        // What is dropped goes to the front of the buffer: the last first, to keep the order.
        for (delivery, result) in deliveries.into_iter().zip(results).rev() {
            match result {
                Ok(_) => delivery.finish(Ending::Elsewhere),
                Err(cause) => failure = Some(cause),
            }
        }
        if let Some(cause) = &failure
            && let Some(held_back) = self.failures.due()
        {
            let (cause, buffered) = (chain(cause), self.buffer.account().unfinished());
            warn!(
                cause,
                buffered,
                held_back,
                "cannot bring messages to the durable queue; they are buffered, trying again"
            );
        }
        failure.is_none()
    }
}

impl Role for Enqueuer {
    async fn run(&mut self, cancelled: CancellationToken) {
        let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(1));
        while !cancelled.is_cancelled() {
            if self.buffer.is_empty() {
                tokio::select! {
                    () = self.buffer.arrived() => {}
                    () = cancelled.cancelled() => {}
                }
            } else if self.step().await {
                backoff.reset();
            } else {
                tokio::select! {
                    () = sleep(backoff.next_wait()) => {}
                    () = cancelled.cancelled() => {}
                }
            }
        }
    }
}
