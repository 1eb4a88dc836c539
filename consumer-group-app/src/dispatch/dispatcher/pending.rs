//! The deliveries that wait for a time, for room, or for a place among the dead letters.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use protocol::DeadLetterReason;
use tokio::time::Instant;

use crate::{
    dead_letters::writer::Letter, delivery::Delivery, dispatch::retry_budget::RetryBudget,
};

/// The longest time for which a consumer may put off a message: until then it is held here.
const LONGEST_POSTPONEMENT: Duration = Duration::from_secs(3600);

/// What the dispatcher holds itself.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    /// To be handed to a consumer as soon as one has room, by their place in the queue, oldest first.
    pub(super) ready: BTreeMap<u64, Delivery>,
    /// To be tried again at a time; the number keeps apart what is due at once.
    later: BTreeMap<(Instant, u64), Delivery>,
    /// Given up, waiting for room on the way to the dead letters.
    pub(super) given_up: VecDeque<Letter>,
    number: u64,
}

impl Pending {
    pub(super) fn defer(&mut self, delivery: Delivery, wait: Duration) {
        self.number += 1;
        self.later
            .insert((Instant::now() + wait, self.number), delivery);
    }

    /// To be brought to a consumer again when it asked for it, which is no failure.
    pub(super) fn postpone(&mut self, mut delivery: Delivery, wait: Duration) {
        delivery.set_aside();
        self.defer(delivery, wait.min(LONGEST_POSTPONEMENT));
    }

    /// To be tried as soon as a consumer has room, before what came after it.
    pub(super) fn make_ready(&mut self, delivery: Delivery) {
        self.ready.insert(delivery.leased.place, delivery);
    }

    pub(super) fn give_up(&mut self, delivery: Delivery, reason: DeadLetterReason) {
        self.given_up.push_back(Letter::of(delivery, reason));
    }

    /// Whether something waits that a later look may help.
    pub(super) fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.later.is_empty() && self.given_up.is_empty()
    }

    /// Makes ready what is due, as far as the budget allows.
    pub(super) fn release_due(&mut self, budget: &RetryBudget) {
        let now = Instant::now();
        while let Some(first) = self.later.first_entry() {
            let is_retry = !first.get().is_aside();
            if first.key().0 > now || is_retry && !budget.take() {
                return;
            }
            let mut delivery = first.remove();
            delivery.take_up();
            self.make_ready(delivery);
        }
    }
}
