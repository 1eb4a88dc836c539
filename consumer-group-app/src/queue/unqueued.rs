//! What was received and is in no queue: it is on its way to the dead letters.

use std::sync::Arc;

use protocol::DeadLetter;
use tokio::sync::OwnedSemaphorePermit;

use super::MemoryQueue;
use crate::delivery::Ending;

/// A payload that was received but not queued, because it is no message or there was no room.
///
/// Invariant: as a [`crate::delivery::Delivery`] it ends in exactly one way. Either it is finished, by
/// [`Unqueued::finish`], or it is dropped, and then it goes back, to be had by
/// [`MemoryQueue::take_unqueued`]. So a panic of whoever has it loses nothing.
#[derive(Debug)]
#[must_use]
pub(crate) struct Unqueued {
    kept: Kept,
    queue: MemoryQueue,
    is_finished: bool,
}

/// What is kept of it.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    letter: DeadLetter,
    /// Its share of the bytes that may wait to be written.
    room: Option<Arc<OwnedSemaphorePermit>>,
}

impl Unqueued {
    pub(super) fn new(letter: DeadLetter, queue: MemoryQueue) -> Self {
        let kept = Kept { letter, room: None };
        Self::again(kept, queue)
    }

    pub(super) fn again(kept: Kept, queue: MemoryQueue) -> Self {
        Self {
            kept,
            queue,
            is_finished: false,
        }
    }

    /// The letter it is to become.
    pub(crate) fn letter(&self) -> &DeadLetter {
        &self.kept.letter
    }

    /// Gives it room, which is free again once it is finished.
    pub(crate) fn set_room(&mut self, room: OwnedSemaphorePermit) {
        self.kept.room = Some(Arc::new(room));
    }

    /// Ends it.
    pub(crate) fn finish(mut self, ending: Ending) {
        self.is_finished = true;
        self.queue.finish_unqueued(ending);
    }
}

impl Drop for Unqueued {
    fn drop(&mut self) {
        if !self.is_finished {
            self.queue.give_back_unqueued(self.kept.clone());
        }
    }
}
