//! The messages on their way to one consumer.

use std::{pin::pin, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use protocol::ConsumerId;
use service_kit::{
    http_client::POOL_IDLE_TIMEOUT,
    supervisor::{Role, Supervisor},
};
use tokio::{
    sync::{Notify, mpsc},
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::{
    concurrency_limit::ConcurrencyLimit,
    consumer_client::{ConsumerClient, Target},
    delivery::{Delivery, Ending, Outcome},
    lane::Lane,
    retry::RetryBudget,
    settler::Settling,
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
    /// Where what was processed goes with the durable queue; without, it is finished with.
    pub(crate) settlements: Option<mpsc::Sender<Settling>>,
    pub(crate) returns: mpsc::Sender<Returned>,
    pub(crate) suspects: mpsc::Sender<ConsumerId>,
    pub(crate) room: Arc<Notify>,
    pub(crate) supervisor: Supervisor,
    pub(crate) stop: CancellationToken,
    pub(crate) max_in_flight: u16,
    pub(crate) attempt_timeout: Duration,
}

impl Outboxes {
    /// Ends a delivery that a consumer has done with.
    async fn settle(&self, delivery: Delivery, ending: Ending) {
        let settling = Settling { delivery, ending };
        match &self.settlements {
            // An error means that the settler is gone; the delivery then goes back to the queue.
            Some(settlements) => drop(settlements.send(settling).await),
            None => settling.finish(),
        }
    }

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
                warn!(consumer.id = %consumer, %error, "the consumer cannot be addressed");
                return sender;
            }
        };
        let outbox = Outbox {
            consumer: consumer.clone(),
            target,
            standing,
            limit: ConcurrencyLimit::new(self.max_in_flight, self.attempt_timeout),
            waiting,
            idle: Vec::new(),
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
    /// Connections that carry nothing now, the one used last at the end.
    idle: Vec<Lane>,
    shared: Outboxes,
}

/// An attempt that has ended.
struct Attempt {
    delivery: Delivery,
    outcome: Outcome,
    lane: Option<Lane>,
    took: Duration,
}

impl Role for Outbox {
    /// After `left` it gives back what waits and finishes what is under way; after `stop` it gives
    /// back that, too.
    async fn run(&mut self, left: CancellationToken) {
        let stop = self.shared.stop.clone();
        // Waited for from here on, not anew with each message.
        let mut stopped = pin!(stop.cancelled());
        let mut has_left = pin!(left.cancelled());
        let mut under_way = FuturesUnordered::new();
        loop {
            if self.waiting.is_closed() && under_way.is_empty() {
                return;
            }
            let has_room = self.limit.allows(under_way.len());
            tokio::select! {
                biased;
                () = &mut stopped => return,
                Some(attempt) = under_way.next() => {
                    self.settle(attempt, !has_room).await;
                }
                () = &mut has_left, if !self.waiting.is_closed() => {
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
                () = sleep(POOL_IDLE_TIMEOUT), if !self.idle.is_empty() && under_way.is_empty() => {
                    self.idle.clear();
                }
            }
        }
    }
}

impl Outbox {
    fn attempt(
        &mut self,
        mut delivery: Delivery,
    ) -> impl Future<Output = Attempt> + Send + 'static {
        let (client, target) = (self.shared.client.clone(), self.target.clone());
        delivery.held.begin_attempt(&self.consumer);
        let message = delivery.held.message.body().clone();
        let idle = self.idle.pop();
        async move {
            let begun = Instant::now();
            let (outcome, lane) = client.deliver(target, idle, message).await;
            Attempt {
                delivery,
                outcome,
                lane,
                took: begun.elapsed(),
            }
        }
    }

    async fn settle(&mut self, attempt: Attempt, limit_was_in_use: bool) {
        let Attempt {
            mut delivery,
            outcome,
            lane,
            took,
        } = attempt;
        self.idle.extend(lane);
        if outcome == Outcome::TimedOut {
            self.limit.timed_out();
        } else {
            self.limit.answered(took, limit_was_in_use);
        }
        if self.standing.note(&outcome) {
            let cause = outcome.describe();
            warn!(consumer.id = %self.consumer, cause, "the consumer is left out for a while");
            // What waits goes elsewhere: a dropped delivery goes back to the queue. No more than waits
            // now, because the dispatcher may bring as much again when nobody else is left.
            for _ in 0..self.waiting.len() {
                drop(self.waiting.try_recv());
            }
            // A full channel means that it is being checked on already.
            let _nudged = self.shared.suspects.try_send(self.consumer.clone());
        }
        let held = &mut delivery.held;
        let ending = match outcome {
            Outcome::Delivered => Some(Ending::Processed),
            Outcome::Duplicate if held.may_have_been_processed() => Some(Ending::Processed),
            Outcome::Duplicate => Some(Ending::Duplicate),
            Outcome::Unreachable(_) | Outcome::Busy(_) => {
                held.fruitless += 1;
                None
            }
            Outcome::Rejected(_) | Outcome::Failed(_) | Outcome::TimedOut => None,
        };
        if let Some(ending) = ending {
            self.shared.budget.deposit();
            self.shared.settle(delivery, ending).await;
            return;
        }
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
