//! Decides which consumer gets which message, and what becomes of one that failed.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use protocol::{ConsumerId, DeadLetterReason};
use rand::seq::IteratorRandom;
use service_kit::supervisor::Role;
use tokio::{
    sync::{
        Notify,
        mpsc::{self, error::TrySendError},
    },
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::{
    consumer_group::{ConsumerGroup, Member},
    dead_letter_writer::Letter,
    delivery::{Delivery, Outcome},
    outbox::Returned,
    queue::MemoryQueue,
    retry::{RetryBudget, RetryPolicy},
};

/// How many messages are taken from the queue, or from the returns, at once.
const BATCH: usize = 256;

/// How long to wait before looking again, behind every wake-up, while something waits.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// How often deliveries that wait are checked for their deadline.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// The role between queue and outboxes. It never waits for an outbox: what finds no room stays with it.
#[derive(Debug)]
pub(crate) struct Dispatcher {
    pub(crate) queue: MemoryQueue,
    pub(crate) group: ConsumerGroup,
    pub(crate) returns: mpsc::Receiver<Returned>,
    pub(crate) letters: mpsc::Sender<Letter>,
    pub(crate) policy: RetryPolicy,
    pub(crate) budget: Arc<RetryBudget>,
    /// Notified when an outbox has room again or the members change.
    pub(crate) changed: Arc<Notify>,
    pub(crate) pending: Pending,
}

/// What the dispatcher holds itself.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    /// To be handed to a consumer as soon as one has room, oldest first.
    ready: VecDeque<Delivery>,
    /// To be tried again at a time; the number keeps apart what is due at once.
    later: BTreeMap<(Instant, u64), Delivery>,
    /// Given up, waiting for room on the way to the dead letters.
    given_up: VecDeque<Letter>,
    number: u64,
    swept: Option<Instant>,
}

impl Pending {
    fn defer(&mut self, delivery: Delivery, wait: Duration) {
        self.number += 1;
        self.later
            .insert((Instant::now() + wait, self.number), delivery);
    }

    fn give_up(&mut self, delivery: Delivery, reason: DeadLetterReason) {
        self.given_up.push_back(Letter::of(delivery, reason));
    }

    /// Whether something waits that a later look may help.
    fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.later.is_empty() && self.given_up.is_empty()
    }

    /// Removes what has been tried for too long, every [`SWEEP_EVERY`].
    fn sweep(&mut self, policy: &RetryPolicy) {
        let now = Instant::now();
        if self.swept.is_some_and(|swept| now - swept < SWEEP_EVERY) {
            return;
        }
        self.swept = Some(now);
        let late = self
            .later
            .extract_if(.., |_, delivery| policy.is_overdue(&delivery.held));
        let mut overdue: Vec<_> = late.map(|(_, delivery)| delivery).collect();
        for delivery in std::mem::take(&mut self.ready) {
            if policy.is_overdue(&delivery.held) {
                overdue.push(delivery);
            } else {
                self.ready.push_back(delivery);
            }
        }
        for delivery in overdue {
            self.give_up(delivery, DeadLetterReason::DeadlineExceeded);
        }
    }

    /// Makes ready what is due, as far as the budget allows.
    fn release_due(&mut self, budget: &RetryBudget) {
        let now = Instant::now();
        while let Some(first) = self.later.first_entry() {
            if first.key().0 > now || !budget.take() {
                return;
            }
            self.ready.push_back(first.remove());
        }
    }
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
                _ = self.returns.recv_many(&mut returned, BATCH) => {
                    for Returned { delivery, outcome } in returned.drain(..) {
                        self.settle(delivery, &outcome);
                    }
                }
                () = std::future::ready(()), if pass == Pass::More => {}
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
        self.pending.sweep(&self.policy);
        self.post_letters();
        let mut round = Round::new(self.group.candidates());
        if round.has_room() {
            self.pending.release_due(&self.budget);
        }
        let mut ready = std::mem::take(&mut self.pending.ready);
        while round.has_room()
            && let Some(delivery) = ready.pop_front()
        {
            self.pending.ready.extend(round.place(delivery));
        }
        self.pending.ready.append(&mut ready);
        if !round.has_room() {
            let is_idle = self.queue.is_empty() && self.pending.ready.is_empty();
            return if is_idle { Pass::Idle } else { Pass::Blocked };
        }
        let taken = self.queue.take(round.room().min(BATCH));
        if taken.is_empty() {
            return if self.pending.ready.is_empty() {
                Pass::Idle
            } else {
                Pass::Blocked
            };
        }
        for delivery in taken {
            self.pending.ready.extend(round.place(delivery));
        }
        Pass::More
    }

    /// Decides what becomes of a delivery that failed.
    fn settle(&mut self, delivery: Delivery, outcome: &Outcome) {
        let may_go_elsewhere_at_once = match outcome {
            Outcome::Delivered => return delivery.processed(),
            Outcome::Rejected(_) => {
                return self.pending.give_up(delivery, DeadLetterReason::Rejected);
            }
            Outcome::Unreachable(_) => true,
            Outcome::Busy(_) | Outcome::Failed(_) | Outcome::TimedOut => false,
        };
        if let Some(reason) = self.policy.gives_up(&delivery.held) {
            self.pending.give_up(delivery, reason);
        } else if may_go_elsewhere_at_once && self.has_untried(&delivery) {
            self.pending.ready.push_back(delivery);
        } else {
            let wait = RetryPolicy::wait(&delivery.held);
            self.pending.defer(delivery, wait);
        }
    }

    fn has_untried(&self, delivery: &Delivery) -> bool {
        let tried = &delivery.held.tried;
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

/// The consumers of one pass.
struct Round {
    /// All that may be picked.
    members: Vec<Member>,
    /// Where in `members` those are that have shown no lack of room yet.
    roomy: Vec<usize>,
}

impl Round {
    fn new(members: Vec<Member>) -> Self {
        let has_room = |place: &usize| members[*place].outbox.capacity() > 0;
        let roomy = (0..members.len()).filter(has_room).collect();
        Self { members, roomy }
    }

    fn has_room(&self) -> bool {
        !self.roomy.is_empty()
    }

    /// How many messages the outboxes would take.
    fn room(&self) -> usize {
        self.roomy
            .iter()
            .map(|place| self.members[*place].outbox.capacity())
            .sum()
    }

    /// Hands a delivery to a consumer drawn uniformly from those not tried yet; gives it back when
    /// none of them has room. Once all have been tried, all may be tried again.
    fn place(&mut self, mut delivery: Delivery) -> Option<Delivery> {
        let tried = &mut delivery.held.tried;
        if !tried.is_empty() && self.members.iter().all(|member| tried.contains(&member.id)) {
            tried.clear();
        }
        loop {
            let at = self.draw(&delivery.held.tried)?;
            let member = &self.members[self.roomy[at]];
            delivery = match member.outbox.try_send(delivery) {
                Ok(()) => return None,
                Err(TrySendError::Full(delivery) | TrySendError::Closed(delivery)) => delivery,
            };
            self.roomy.swap_remove(at);
        }
    }

    /// A place in `roomy`, drawn uniformly among the untried.
    fn draw(&self, tried: &[ConsumerId]) -> Option<usize> {
        let is_untried = |at: &usize| !tried.contains(&self.members[self.roomy[*at]].id);
        if tried.is_empty() {
            (0..self.roomy.len()).choose(&mut rand::rng())
        } else {
            (0..self.roomy.len())
                .filter(is_untried)
                .choose(&mut rand::rng())
        }
    }
}
