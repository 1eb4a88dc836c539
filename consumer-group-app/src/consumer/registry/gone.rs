//! The consumers that have left the group, until they are done.

use std::sync::{Arc, Weak};

use protocol::ConsumerId;

use crate::consumer::{
    stats::{Outcomes, Record},
    window::Window,
};

/// Those that are members no more.
#[derive(Debug, Default)]
pub(super) struct Gone {
    pub(super) leaving: Vec<Leaving>,
    /// What the attempts came to of those that have finished what they had, and how often those were
    /// left out.
    pub(super) outcomes: Outcomes,
    pub(super) ejections: u64,
}

impl Gone {
    /// Keeps those that are not done yet, and of the others what they did.
    pub(super) fn tidy(&mut self) {
        let is_done = |leaving: &mut Leaving| leaving.window.strong_count() == 0;
        for done in self.leaving.extract_if(.., is_done) {
            let (outcomes, ejections) = done.record.counts();
            self.outcomes.add(&outcomes);
            self.ejections += ejections;
        }
    }
}

/// A consumer that has left. Its window is in use for as long as its outbox has work.
#[derive(Debug)]
pub(super) struct Leaving {
    pub(super) id: ConsumerId,
    pub(super) window: Weak<Window>,
    pub(super) record: Arc<Record>,
}
