//! The consumers that have left the group.

use std::sync::Arc;

use tokio::task::JoinHandle;

use crate::consumer::{handle::ConsumerHandle, stats::OutcomeCounts};

/// Those that are members no more.
#[derive(Debug, Default)]
pub(super) struct Departed {
    draining: Vec<Draining>,
    /// What the attempts came to of those that are done, and how often those were ejected.
    outcomes: OutcomeCounts,
    ejections: u64,
}

/// A consumer that has left, and its sender, which may have work yet.
#[derive(Debug)]
struct Draining {
    consumer: Arc<ConsumerHandle>,
    sender: JoinHandle<()>,
}

impl Departed {
    pub(super) fn add(&mut self, consumer: Arc<ConsumerHandle>, sender: JoinHandle<()>) {
        self.draining.push(Draining { consumer, sender });
    }

    /// Forgets those that are done, but for what they did.
    pub(super) fn tidy(&mut self) {
        let is_done = |draining: &mut Draining| draining.sender.is_finished();
        for done in self.draining.extract_if(.., is_done) {
            let (outcomes, ejections) = done.consumer.stats.counts();
            self.outcomes.add(&outcomes);
            self.ejections += ejections;
        }
    }

    /// Those that are not done yet.
    pub(super) fn draining(&self) -> impl Iterator<Item = &ConsumerHandle> {
        let draining = self.draining.iter().filter(|it| !it.sender.is_finished());
        draining.map(|it| &*it.consumer)
    }

    /// What the attempts of all of them came to, and how often they were ejected.
    pub(super) fn counts(&self) -> (OutcomeCounts, u64) {
        let (mut outcomes, mut ejections) = (self.outcomes, self.ejections);
        for draining in &self.draining {
            let (more, further) = draining.consumer.stats.counts();
            outcomes.add(&more);
            ejections += further;
        }
        (outcomes, ejections)
    }
}
