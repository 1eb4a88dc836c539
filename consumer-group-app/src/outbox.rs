//! The messages on their way to one consumer.

mod attempt;
mod opening;
mod settling;
mod spans;

use std::{collections::VecDeque, pin::pin, sync::Arc};

use futures_util::{StreamExt, stream::FuturesUnordered};
use protocol::ConsumerId;
use service_kit::{http_client::POOL_IDLE_TIMEOUT, supervisor::Role};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

pub(crate) use self::opening::{Opened, Outboxes, Rules};
use self::{
    attempt::{Attempt, batch, parcel},
    spans::Spans,
};
use crate::{
    concurrency_limit::ConcurrencyLimit,
    consumer_client::Target,
    delivery::{Delivery, Outcome},
    flow::Flow,
    lane::Lane,
    record::Record,
    standing::{Fitness, Standing},
};

/// How many batches are under way to a consumer at the most: while it works on one the next comes in.
/// More would only make them smaller.
const BATCHES_AT_ONCE: usize = 2;

/// A delivery that failed.
#[derive(Debug)]
pub(crate) struct Returned {
    pub(crate) delivery: Delivery,
    pub(crate) outcome: Outcome,
    /// Whether the consumer ever delivered a message.
    pub(crate) is_proven: bool,
}

/// The role that delivers to one consumer, a bounded number of messages at a time.
#[derive(Debug)]
struct Outbox {
    consumer: ConsumerId,
    target: Target,
    flow: Arc<Flow>,
    standing: Arc<Standing>,
    record: Arc<Record>,
    limit: ConcurrencyLimit,
    waiting: mpsc::Receiver<Delivery>,
    /// Taken from the waiting, to be given to the consumer first.
    next: VecDeque<Delivery>,
    /// How much is under way.
    requests: usize,
    messages: usize,
    /// Whether the consumer was left out, or did not answer, since it last did well.
    was_away: bool,
    /// Connections that carry nothing now, the one used last at the end.
    idle: Vec<Lane>,
    shared: Outboxes,
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
        (self.requests, self.messages) = (0, 0);
        loop {
            while self.may_send()
                && let Some(attempt) = self.attempt()
            {
                under_way.push(attempt);
            }
            if self.waiting.is_closed() && under_way.is_empty() {
                return;
            }
            let may_send = self.may_send();
            tokio::select! {
                biased;
                () = &mut stopped => return,
                Some(attempt) = under_way.next() => self.settle(attempt).await,
                () = &mut has_left, if !self.waiting.is_closed() => {
                    self.waiting.close();
                    // Dropped deliveries go back to the queue.
                    self.next.clear();
                    while self.waiting.try_recv().is_ok() {}
                }
                Some(delivery) = self.waiting.recv(), if may_send => {
                    self.next.push_back(delivery);
                }
                () = sleep(POOL_IDLE_TIMEOUT), if !self.idle.is_empty() && under_way.is_empty() => {
                    self.idle.clear();
                }
            }
        }
    }
}

impl Outbox {
    /// How many messages a request may carry, and how many requests may be under way.
    fn bounds(&self) -> (usize, usize) {
        let Rules {
            max_in_flight,
            max_batch,
            ..
        } = self.shared.rules;
        match self.flow.max_batch().min(max_batch) {
            1 => (1, max_in_flight),
            most => (most, max_in_flight.min(BATCHES_AT_ONCE)),
        }
    }

    fn may_send(&self) -> bool {
        self.requests < self.bounds().1 && self.messages < self.limit.get()
    }

    /// Starts an attempt with what waits now, as far as the consumer takes it. While it is closed, what waits
    /// goes elsewhere.
    fn attempt(&mut self) -> Option<impl Future<Output = Attempt> + Send + 'static> {
        if self.standing.fitness() == Fitness::Closed {
            self.drop_waiting();
            return None;
        }
        let (max_batch, max_requests) = self.bounds();
        self.limit.set_most(max_batch.saturating_mul(max_requests));
        let most = max_batch.min(self.limit.get() - self.messages);
        while self.next.len() < most
            && let Ok(delivery) = self.waiting.try_recv()
        {
            self.next.push_back(delivery);
        }
        let mut deliveries = batch(&mut self.next, most);
        let begun = Instant::now();
        for delivery in &mut deliveries {
            delivery.held.begin_attempt(begun);
        }
        let mut parcel = parcel(&deliveries)?;
        let spans = Spans::begin(&deliveries, &self.consumer, &mut parcel);
        let was_alone = self.requests == 0;
        self.requests += 1;
        self.note_under_way(self.messages + deliveries.len());
        if self.waiting.len() <= self.limit.get() / 2 {
            self.shared.room.notify_one();
        }
        let (client, target, idle) = (
            self.shared.client.clone(),
            self.target.clone(),
            self.idle.pop(),
        );
        Some(async move {
            let (outcomes, lane) = client.deliver(target, idle, parcel).await;
            spans.end(&outcomes);
            Attempt {
                deliveries,
                outcomes,
                lane,
                begun,
                took: begun.elapsed(),
                was_alone,
            }
        })
    }

    /// What waits goes back to the queue. No more than waits now, because the dispatcher may bring as much
    /// again when nobody else is left.
    fn drop_waiting(&mut self) {
        self.next.clear();
        for _ in 0..self.waiting.len() {
            drop(self.waiting.try_recv());
        }
    }

    fn note_under_way(&mut self, messages: usize) {
        self.messages = messages;
        self.flow.set_under_way(messages, self.limit.get());
    }
}
