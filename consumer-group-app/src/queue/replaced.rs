//! Which queues were here and are no more.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use protocol::QueueIdentity;

/// How many are remembered: there is one more after each FLUSHALL.
const REMEMBERED: usize = 16;

/// The queue that was found in Redis last, and those it came in the place of: after FLUSHALL, or a restart without
/// data. One may come back, with a replica that still had it.
#[derive(Debug, Default)]
pub(super) struct ReplacedQueues(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    current: Option<QueueIdentity>,
    replaced: VecDeque<QueueIdentity>,
}

impl ReplacedQueues {
    /// A queue was found in Redis just now; answers whether it has come in the place of another.
    pub(super) fn found(&self, queue: &QueueIdentity) -> bool {
        let mut known = self.known();
        if known.current.as_ref() == Some(queue) {
            return false;
        }
        known.replaced.retain(|replaced| replaced != queue);
        let before = known.current.replace(queue.clone());
        let has_replaced = before.is_some();
        known.replaced.extend(before);
        if known.replaced.len() > REMEMBERED {
            known.replaced.pop_front();
        }
        has_replaced
    }

    /// Those that were replaced.
    pub(super) fn replaced(&self) -> Vec<QueueIdentity> {
        self.known().replaced.iter().cloned().collect()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_replaced_by_the_next_and_may_come_back() {
        let queues = ReplacedQueues::default();
        let [first, second] = [1, 2].map(QueueIdentity::from);
        assert!(!queues.found(&first));
        assert!(!queues.found(&first));
        assert_eq!(queues.replaced(), []);
        assert!(queues.found(&second));
        assert_eq!(queues.replaced(), std::slice::from_ref(&first));
        assert!(queues.found(&first));
        assert_eq!(queues.replaced(), [second]);
    }

    #[test]
    fn the_latest_are_remembered() {
        let queues = ReplacedQueues::default();
        for number in 0..100 {
            queues.found(&QueueIdentity::from(number));
        }
        let replaced = queues.replaced();
        assert_eq!(replaced.len(), REMEMBERED);
        assert_eq!(replaced.last(), Some(&QueueIdentity::from(98)));
    }
}
