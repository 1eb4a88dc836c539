//! Decides which consumer gets which message, and what becomes of one that failed.
//!
//! A message is bound to a consumer when that can start on it, not before; until then it stays in the queue. So no
//! message waits for a busy consumer while another is free.

mod fetched;
mod pending;
mod round;

use std::{sync::Arc, time::Duration};

use protocol::retry::{Fault, NextStep, next_step};
use service_kit::{backoff::jittered, supervisor::Role};
use tokio::{
    sync::{
        Notify,
        mpsc::{self, error::TrySendError},
    },
    task::yield_now,
    time::sleep,
};
use tokio_util::sync::CancellationToken;

pub(crate) use self::pending::Pending;
use self::{
    fetched::Fetched,
    round::{Placement, Round},
};
use crate::{
    consumer::{registry::ConsumerGroup, sender::FailedDelivery},
    dead_letters::writer::Letter,
    delivery::{Delivery, Outcome},
    dispatch::{retry_budget::RetryBudget, selection::Selection},
    intake::Buffer,
    leasing::Leasing,
    queue::LocalQueue,
};

/// How many messages are taken from the queue, or of those that failed, at once.
const BATCH: usize = 1024;

/// How long to wait before looking again, behind every wake-up, while something waits.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The role between queue and senders. It never waits for a sender: what finds no room stays in the queue, or with
/// it when it has been tried already.
#[derive(Debug)]
pub(crate) struct Dispatcher {
    pub(crate) queue: LocalQueue,
    pub(crate) buffer: Buffer,
    pub(crate) group: ConsumerGroup,
    pub(crate) failed: mpsc::Receiver<FailedDelivery>,
    pub(crate) letters: mpsc::Sender<Letter>,
    pub(crate) max_attempts: u64,
    pub(crate) budget: Arc<RetryBudget>,
    pub(crate) selection: Selection,
    /// Notified when a sender has room again or the members change.
    pub(crate) changed: Arc<Notify>,
    pub(crate) pending: Pending,
    /// The workers that fetch.
    pub(crate) leasing: Leasing,
}

/// What a pass of [`Dispatcher::dispatch`] ended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pass {
    /// The queue is empty.
    Idle,
    /// Something waits, and no consumer has room for it.
    Blocked,
    /// There may be more to do at once.
    More,
}

impl Role for Dispatcher {
    async fn run(&mut self, cancelled: CancellationToken) {
        let mut returned = Vec::with_capacity(BATCH);
        loop {
            let pass = self.dispatch();
            let looks_again = pass == Pass::Blocked || !self.pending.is_empty();
            tokio::select! {
                biased;
                () = cancelled.cancelled() => return,
                _ = self.failed.recv_many(&mut returned, BATCH) => {
                    for returned in returned.drain(..) {
                        self.settle(returned);
                    }
                }
                () = yield_now(), if pass == Pass::More => {}
                () = self.queue.arrived(), if pass == Pass::Idle => {}
                () = self.changed.notified(), if pass == Pass::Blocked => {}
                () = sleep(LOOK_AGAIN), if looks_again => {}
            }
        }
    }
}

impl Dispatcher {
    /// Hands out what can be handed out now; at most a batch of the queue.
    fn dispatch(&mut self) -> Pass {
        self.post_letters();
        let mut round = Round::new(self.group.candidates(), self.selection);
        let mut fetched = Fetched::new(&self.leasing);
        if round.room() + fetched.room() > 0 {
            self.pending.release_due(&self.budget);
            let ready = std::mem::take(&mut self.pending.ready);
            self.place_all(&mut round, &mut fetched, ready.into_values());
        }
        let room = round.room() + fetched.room();
        let taken = self.queue.take(room.min(BATCH));
        let are_any = !taken.is_empty();
        self.place_all(&mut round, &mut fetched, taken);
        for delivery in fetched.give(&self.leasing) {
            self.pending.make_ready(delivery);
        }
        let is_idle = self.queue.is_empty() && self.pending.ready.is_empty();
        match (are_any, is_idle) {
            (true, _) => Pass::More,
            (false, true) => Pass::Idle,
            (false, false) => Pass::Blocked,
        }
    }

    /// Hands deliveries to consumers, or puts them with what is fetched; what finds no room stays ready. What stands in
    /// a queue that was emptied is offered to the queue of now: no consumer could settle it.
    fn place_all(
        &mut self,
        round: &mut Round,
        fetched: &mut Fetched,
        deliveries: impl IntoIterator<Item = Delivery>,
    ) {
        let replaced = self.queue.replaced_queues();
        let is_lost = |delivery: &Delivery| replaced.contains(&delivery.leased.at.queue);
        let (lost, deliveries): (Vec<_>, Vec<_>) = deliveries.into_iter().partition(is_lost);
        if !lost.is_empty() {
            Delivery::offer_again(lost, &self.buffer);
        }
        let mut share = fetched.share(deliveries.len(), round.room());
        for delivery in deliveries {
            if share > 0 {
                share -= 1;
                fetched.push(delivery);
            } else if let Placement::NoRoom(delivery) = round.place(delivery) {
                if fetched.room() > 0 {
                    fetched.push(*delivery);
                } else {
                    self.pending.make_ready(*delivery);
                }
            }
        }
    }

    /// Decides what becomes of a delivery that failed.
    fn settle(&mut self, returned: FailedDelivery) {
        let FailedDelivery {
            mut delivery,
            outcome,
            is_proven,
        } = returned;
        let (fault, may_go_elsewhere_at_once) = match outcome {
            // Senders settle these themselves. Should one come here, it goes back to the queue, and
            // the next consumer says that it is a duplicate.
            Outcome::Delivered(_) | Outcome::Duplicate(_) => return,
            // The word of one that never delivered anything is not enough while there is another to ask.
            Outcome::Rejected(_)
                if !is_proven && self.group.has_more_than(&delivery.leased.tried) =>
            {
                delivery.leased.note_fruitless();
                (Fault::Attempt, true)
            }
            Outcome::Rejected(_) => (Fault::Message, false),
            Outcome::Later(wait) => return self.pending.postpone(delivery, wait),
            Outcome::Unreachable(_) | Outcome::OwnFault(_) | Outcome::Gone => {
                (Fault::Attempt, true)
            }
            Outcome::Busy(_)
            | Outcome::Failed(_)
            | Outcome::TimedOut
            | Outcome::BadGateway(_)
            | Outcome::UnknownPosition => (Fault::Attempt, false),
        };
        match next_step(delivery.leased.history(), fault, self.max_attempts) {
            NextStep::GiveUp(reason) => self.pending.give_up(delivery, reason),
            NextStep::Retry { .. } if may_go_elsewhere_at_once && self.has_untried(&delivery) => {
                self.pending.make_ready(delivery);
            }
            NextStep::Retry { within } => self.pending.defer(delivery, jittered(within)),
        }
    }

    fn has_untried(&self, delivery: &Delivery) -> bool {
        let tried = &delivery.leased.tried;
        self.group
            .candidates()
            .iter()
            .any(|member| !tried.contains(&member.id))
    }

    /// Passes on what was given up, as far as there is room.
    fn post_letters(&mut self) {
        while let Some(letter) = self.pending.given_up.pop_front() {
            if let Err(TrySendError::Full(letter) | TrySendError::Closed(letter)) =
                self.letters.try_send(letter)
            {
                self.pending.given_up.push_front(letter);
                return;
            }
        }
    }
}
