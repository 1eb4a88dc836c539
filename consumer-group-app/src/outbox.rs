//! The messages on their way to one consumer.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use protocol::ConsumerId;
use service_kit::supervisor::{Role, Supervisor};
use tokio::{
    sync::{Notify, mpsc},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::{
    concurrency_limit::ConcurrencyLimit,
    consumer_client::{ConsumerClient, Target},
    delivery::{Delivery, Outcome},
    retry::RetryBudget,
    standing::Standing,
};

/// How many messages wait in an outbox at the most. Few, because what waits here for a slow consumer
/// could go to a quick one.
const WAITING: usize = 64;

/// How many are left when the dispatcher is told that there is room: enough to go on with until it has
/// brought more, and few enough that it brings many at once.
const REFILL_AT: usize = WAITING / 2;

/// A delivery that failed.
#[derive(Debug)]
pub(crate) struct Returned {
    pub(crate) delivery: Delivery,
    pub(crate) outcome: Outcome,
}

/// What every outbox uses.
#[derive(Debug, Clone)]
pub(crate) struct Outboxes {
    pub(crate) client: ConsumerClient,
    pub(crate) budget: Arc<RetryBudget>,
    pub(crate) returns: mpsc::Sender<Returned>,
    pub(crate) suspects: mpsc::Sender<ConsumerId>,
    pub(crate) room: Arc<Notify>,
    pub(crate) supervisor: Supervisor,
    pub(crate) stop: CancellationToken,
    pub(crate) max_in_flight: u16,
    pub(crate) attempt_timeout: Duration,
}

impl Outboxes {
    /// Opens an outbox for a consumer; it ends, once empty, with `left`.
    pub(crate) fn open(
        &self,
        consumer: &ConsumerId,
        standing: Arc<Standing>,
        left: CancellationToken,
    ) -> mpsc::Sender<Delivery> {
        let (sender, waiting) = mpsc::channel(WAITING);
        let target = match Target::new(consumer) {
            Ok(target) => target,
            Err(error) => {
                // The receiver is gone with this return, so the consumer is never picked.
                warn!(consumer.id = %consumer, error, "the consumer cannot be addressed");
                return sender;
            }
        };
        let outbox = Outbox {
            consumer: consumer.clone(),
            target,
            standing,
            limit: ConcurrencyLimit::new(self.max_in_flight, self.attempt_timeout),
            waiting,
            shared: self.clone(),
        };
        self.supervisor
            .spawn(format!("outbox {consumer}"), left, outbox);
        sender
    }
}

/// The role that delivers to one consumer, a bounded number of messages at a time.
#[derive(Debug)]
struct Outbox {
    consumer: ConsumerId,
    target: Target,
    standing: Arc<Standing>,
    limit: ConcurrencyLimit,
    waiting: mpsc::Receiver<Delivery>,
    shared: Outboxes,
}

/// An attempt that has ended.
struct Attempt {
    delivery: Delivery,
    outcome: Outcome,
    took: Duration,
}

impl Role for Outbox {
    /// After `left` it gives back what waits and finishes what is under way; after `stop` it gives
    /// back that, too.
    async fn run(&mut self, left: CancellationToken) {
        let stop = self.shared.stop.clone();
        let mut under_way = FuturesUnordered::new();
        loop {
            let has_room = self.limit.allows(under_way.len());
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                Some(attempt) = under_way.next() => {
                    self.settle(attempt, !has_room).await;
                }
                () = left.cancelled(), if !self.waiting.is_closed() => {
                    self.waiting.close();
                    // Dropped deliveries go back to the queue.
                    while self.waiting.try_recv().is_ok() {}
                }
                Some(delivery) = self.waiting.recv(), if has_room => {
                    if self.waiting.len() == REFILL_AT {
                        self.shared.room.notify_one();
                    }
                    under_way.push(self.attempt(delivery));
                }
                else => return,
            }
        }
    }
}

impl Outbox {
    fn attempt(&self, mut delivery: Delivery) -> impl Future<Output = Attempt> + Send + 'static {
        let (client, target) = (self.shared.client.clone(), self.target.clone());
        delivery.held.begin_attempt(&self.consumer);
        let message = delivery.held.message.body().clone();
        async move {
            let begun = Instant::now();
            let outcome = client.deliver(target, message).await;
            Attempt {
                delivery,
                outcome,
                took: begun.elapsed(),
            }
        }
    }

    async fn settle(&mut self, attempt: Attempt, limit_was_in_use: bool) {
        let Attempt {
            mut delivery,
            outcome,
            took,
        } = attempt;
        if outcome == Outcome::TimedOut {
            self.limit.timed_out();
        } else {
            self.limit.answered(took, limit_was_in_use);
        }
        if self.standing.note(&outcome) {
            let cause = outcome.describe();
            warn!(consumer.id = %self.consumer, cause, "the consumer is left out for a while");
            // What waits goes elsewhere: a dropped delivery goes back to the queue.
            while self.waiting.try_recv().is_ok() {}
            // A full channel means that it is being checked on already.
            let _nudged = self.shared.suspects.try_send(self.consumer.clone());
        }
        if outcome == Outcome::Delivered {
            self.shared.budget.deposit();
            delivery.processed();
            return;
        }
        let held = &mut delivery.held;
        held.last_error = outcome.describe();
        debug!(message.id = %held.message.id(), consumer.id = %self.consumer,
            attempt = held.attempts, error = held.last_error, "an attempt failed");
        // An error means that the dispatcher is gone; the delivery then goes back to the queue.
        let _returned = self
            .shared
            .returns
            .send(Returned { delivery, outcome })
            .await;
    }
}
