//! How much of an answer is read, and the room that large ones take.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How much of an answer's body is read.
#[derive(Debug, Clone)]
pub(crate) struct AnswerBounds {
    /// At the most, in bytes.
    pub(crate) most: usize,
    /// So much needs no room, in bytes.
    pub(crate) small: usize,
    /// A permit for each byte that all answers together may take beyond that.
    pub(crate) room: Arc<Semaphore>,
}

impl AnswerBounds {
    /// For answers that are never large.
    pub(crate) fn small(bytes: usize) -> Self {
        Self {
            most: bytes,
            small: bytes,
            room: Arc::new(Semaphore::new(0)),
        }
    }

    /// Waits for the room that a body of so many bytes may come to take. All of it at once: bodies that have some of
    /// it and wait for more would wait for each other.
    pub(super) async fn room_for(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        if bytes <= self.small {
            return None;
        }
        let most = u32::try_from(self.most - self.small).unwrap_or(u32::MAX);
        // Nobody closes it.
        let room = Arc::clone(&self.room).acquire_many_owned(most).await;
        room.ok()
    }
}
