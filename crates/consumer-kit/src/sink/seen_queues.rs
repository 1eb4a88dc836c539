//! Which queues were here.
//!
//! A message that stands in a queue that is not here is one of two things. If the queue was here, it was emptied:
//! whoever holds the message offers it to the queue of now, unless others have done so, and recorded by its id it
//! would have a second entry. If it never was, the group uses another Redis or another stream, and nobody but this
//! consumer can record the result.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use protocol::QueueIdentity;
use redis_bus::chunk_queue::ChunkQueue;

/// How many queues are remembered: there is a new one after each FLUSHALL.
const REMEMBERED: usize = 16;

/// The queues that messages were brought from, and whether they were here.
#[derive(Debug)]
pub(crate) struct SeenQueues {
    queue: ChunkQueue,
    seen: Mutex<VecDeque<Seen>>,
}

#[derive(Debug)]
struct Seen {
    queue: QueueIdentity,
    was_here: bool,
}

impl SeenQueues {
    pub(super) fn new(queue: ChunkQueue) -> Self {
        Self {
            queue,
            seen: Mutex::default(),
        }
    }

    /// Looks whether a queue is here that no message has come from yet. When its messages are processed it may be
    /// gone.
    pub(super) async fn look_for(&self, queue: &QueueIdentity) {
        if self.find(queue).is_some() {
            return;
        }
        // After an error the next request looks again.
        if let Ok(here) = self.queue.identity().await {
            self.note(queue, here.as_ref() == Some(queue));
        }
    }

    /// Whether it was here, or is.
    pub(super) fn was_here(&self, queue: &QueueIdentity) -> bool {
        self.find(queue).unwrap_or(false)
    }

    fn find(&self, queue: &QueueIdentity) -> Option<bool> {
        let seen = self.seen();
        let mut newest_first = seen.iter().rev();
        let known = newest_first.find(|seen| seen.queue == *queue);
        known.map(|seen| seen.was_here)
    }

    /// Takes note of whether it is here.
    pub(super) fn note(&self, queue: &QueueIdentity, is_here: bool) {
        if self
            .find(queue)
            .is_some_and(|was_here| was_here || !is_here)
        {
            return;
        }
        let mut seen = self.seen();
        seen.retain(|seen| seen.queue != *queue);
        seen.push_back(Seen {
            queue: queue.clone(),
            was_here: is_here,
        });
        if seen.len() > REMEMBERED {
            seen.pop_front();
        }
    }

    fn seen(&self) -> MutexGuard<'_, VecDeque<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
