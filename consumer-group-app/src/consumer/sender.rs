//! The messages on their way to one consumer.

mod attempt;
mod senders;
mod settling;
mod spans;

use std::{collections::VecDeque, pin::pin, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use service_kit::{http_client::POOL_IDLE_TIMEOUT, supervisor::Role};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, sleep},
};
use tokio_util::sync::CancellationToken;

pub(crate) use self::senders::Senders;
use self::{
    attempt::{Attempt, batch, request_for},
    spans::Spans,
};
use crate::{
    consumer::{
        client::Target, connection::ConsumerConnection, handle::ConsumerHandle, outlier::Fitness,
        window::WindowControl,
    },
    delivery::{Delivery, Outcome},
};

/// How often it is looked for answers that are missing.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A delivery that failed.
#[derive(Debug)]
pub(crate) struct FailedDelivery {
    pub(crate) delivery: Delivery,
    pub(crate) outcome: Outcome,
    /// Whether the consumer ever delivered a message.
    pub(crate) is_proven: bool,
}

/// The role that delivers to one consumer, no more at a time than its window allows.
#[derive(Debug)]
struct Sender {
    consumer: Arc<ConsumerHandle>,
    target: Target,
    window: WindowControl,
    waiting: mpsc::Receiver<Delivery>,
    /// Taken from the waiting, to be given to the consumer first.
    next: VecDeque<Delivery>,
    /// Whether the consumer was left out, or did not answer, since it last did well.
    was_away: bool,
    /// Connections that carry nothing now, the one used last at the end.
    idle: Vec<ConsumerConnection>,
    shared: Senders,
}

impl Role for Sender {
    /// After `left` it gives back what waits and finishes what is under way; after `stop` it gives
    /// back that, too.
    async fn run(&mut self, left: CancellationToken) {
        let stop = self.shared.stop.clone();
        // Waited for from here on, not anew with each message.
        let mut stopped = pin!(stop.cancelled());
        let mut has_left = pin!(left.cancelled());
        let mut under_way = FuturesUnordered::new();
        // Of a run that panicked.
        self.window.forget_flights();
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            while let Some(attempt) = self.attempt() {
                under_way.push(attempt);
            }
            if self.waiting.is_closed() && under_way.is_empty() {
                return;
            }
            let may_send = self.window.next_request() > 0;
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
                _ = look.tick(), if self.window.is_under_way() => self.look(),
                () = sleep(POOL_IDLE_TIMEOUT), if !self.idle.is_empty() && under_way.is_empty() => {
                    self.idle.clear();
                }
            }
        }
    }
}

impl Sender {
    /// Starts an attempt with what waits now, as far as the consumer takes it. While it is closed, what waits
    /// goes elsewhere.
    fn attempt(&mut self) -> Option<impl Future<Output = Attempt> + Send + 'static> {
        if self.consumer.outlier.fitness() == Fitness::Closed {
            self.drop_waiting();
            return None;
        }
        let most = self.window.next_request();
        while self.next.len() < most
            && let Ok(delivery) = self.waiting.try_recv()
        {
            self.next.push_back(delivery);
        }
        let mut deliveries = batch(&mut self.next, most);
        let begun = Instant::now();
        for delivery in &mut deliveries {
            delivery.leased.begin_attempt();
        }
        let mut request = request_for(&deliveries)?;
        let spans = Spans::begin(&deliveries, &self.consumer.id, &mut request);
        let number = self.window.begin(deliveries.len(), begun);
        let (client, target, idle) = (
            self.shared.client.clone(),
            self.target.clone(),
            self.idle.pop(),
        );
        Some(async move {
            let answered = client.deliver(target, idle, request).await;
            spans.end(&answered.outcomes);
            Attempt {
                number,
                deliveries,
                answered,
                begun,
                ended: Instant::now(),
            }
        })
    }

    /// What waits goes back to the queue. No more than waits now, because the dispatcher may bring as much
    /// again when nobody else is left.
    fn drop_waiting(&mut self) {
        let mut dropped = self.next.len();
        self.next.clear();
        for _ in 0..self.waiting.len() {
            dropped += usize::from(self.waiting.try_recv().is_ok());
        }
        self.release(dropped);
    }

    /// So many messages are bound to the consumer no more, without having been given to it.
    fn release(&self, messages: usize) {
        if messages > 0 {
            self.consumer.window.release(messages);
            self.shared.room.notify_one();
        }
    }

    /// Has what waits for a consumer that has stalled go to another.
    fn look(&mut self) {
        if self.window.look(Instant::now()) {
            self.drop_waiting();
        }
        self.notify_of_room();
    }

    /// Wakes the dispatcher when there is room for what it has.
    fn notify_of_room(&self) {
        if self.consumer.window.has_much_room() {
            self.shared.room.notify_one();
        }
    }
}
