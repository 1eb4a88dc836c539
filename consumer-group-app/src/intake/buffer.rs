//! What was heard and is not in the queue yet.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::Received;

/// How much it may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
}

/// The buffer between listener and queue, in the order of arrival; clones share it.
///
/// Invariant: what is in it stays in it until it is in the queue. Whoever admits it looks at the front
/// and takes it away afterwards, so that a panic in between loses nothing.
#[derive(Debug, Clone)]
pub(crate) struct Buffer(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    bounds: Bounds,
    arrived: Notify,
    taken: Notify,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Received>,
    /// How much of the front was looked at last: it is about to be taken away.
    looked_at: usize,
    bytes: usize,
    /// Everything that was ever put into it, but for what came back.
    received: u64,
    /// Whether something came back that the queue had.
    has_lost: bool,
}

impl Buffer {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self(Arc::new(Shared {
            bounds,
            arrived: Notify::new(),
            taken: Notify::new(),
            state: Mutex::default(),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what was heard. It may go beyond the bounds by what was read already; wait for
    /// [`Buffer::has_room`] before reading on.
    pub(crate) fn push(&self, received: Vec<Received>) {
        let mut state = self.state();
        state.received += u64::try_from(received.len()).unwrap_or(u64::MAX);
        state.bytes += bytes(&received);
        state.waiting.extend(received);
        drop(state);
        self.0.arrived.notify_one();
    }

    /// Takes in again what was in the queue, and was lost there: before all that nobody looks at now.
    pub(crate) fn push_again(&self, received: Vec<Received>) {
        if received.is_empty() {
            return;
        }
        let mut state = self.state();
        state.has_lost = true;
        state.bytes += bytes(&received);
        let looked_at = state.looked_at.min(state.waiting.len());
        let mut behind = state.waiting.split_off(looked_at);
        state.waiting.extend(received);
        state.waiting.append(&mut behind);
        drop(state);
        self.0.arrived.notify_one();
    }

    /// Has it asked again whether the queue lost something.
    pub(super) fn note_loss(&self) {
        self.state().has_lost = true;
    }

    /// Whether the queue lost something since this was asked last.
    pub(super) fn take_has_lost(&self) -> bool {
        std::mem::take(&mut self.state().has_lost)
    }

    /// Whether it may take in more.
    pub(crate) fn is_full(&self) -> bool {
        let state = self.state();
        state.waiting.len() >= self.0.bounds.messages || state.bytes >= self.0.bounds.bytes
    }

    /// Waits until it may take in more.
    pub(crate) async fn has_room(&self) {
        while self.is_full() {
            self.0.taken.notified().await;
        }
    }

    /// Up to `most` of what has waited longest. It stays here.
    pub(super) fn front(&self, most: usize) -> Vec<Received> {
        let mut state = self.state();
        state.looked_at = most.min(state.waiting.len());
        let front = state.waiting.range(..state.looked_at);
        front.cloned().collect()
    }

    /// Takes away the front: so much of it is in the queue.
    pub(super) fn remove_front(&self, count: usize) {
        let mut state = self.state();
        state.looked_at = 0;
        let removed: Vec<_> = state.waiting.drain(..count).collect();
        state.bytes -= bytes(&removed);
        drop(state);
        self.0.taken.notify_one();
    }

    /// Waits until something has come since the last call returned.
    pub(super) async fn arrived(&self) {
        self.0.arrived.notified().await;
    }

    /// Waits until nothing waits.
    pub(crate) async fn is_emptied(&self) {
        while !self.is_empty() {
            self.0.taken.notified().await;
        }
    }

    /// How much waits.
    pub(crate) fn len(&self) -> usize {
        self.state().waiting.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes of payloads wait.
    pub(crate) fn bytes(&self) -> usize {
        self.state().bytes
    }

    /// Everything that was ever heard.
    pub(crate) fn received(&self) -> u64 {
        self.state().received
    }
}

fn bytes(received: &[Received]) -> usize {
    received.iter().map(|one| one.payload.len()).sum()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tokio::time::Instant;

    use super::*;

    fn received(payloads: &[&'static str]) -> Vec<Received> {
        let one = |payload: &&'static str| {
            Received::malformed(Bytes::from_static(payload.as_bytes()), Instant::now())
        };
        payloads.iter().map(one).collect()
    }

    fn payloads(buffer: &Buffer) -> Vec<Bytes> {
        let front = buffer.front(9);
        front.iter().map(|one| one.payload.clone()).collect()
    }

    #[tokio::test]
    async fn what_is_looked_at_stays_until_it_is_taken_away() {
        let bounds = Bounds {
            messages: 3,
            bytes: 100,
        };
        let buffer = Buffer::new(bounds);
        buffer.push(received(&["a", "b"]));
        assert_eq!(payloads(&buffer), ["a", "b"]);
        assert!(!buffer.is_full());
        buffer.push(received(&["c"]));
        assert!(buffer.is_full());
        buffer.remove_front(2);
        buffer.has_room().await;
        buffer.push_again(received(&["a", "b"]));
        assert_eq!(payloads(&buffer), ["a", "b", "c"]);
        assert!(buffer.take_has_lost() && !buffer.take_has_lost());
        assert_eq!((buffer.len(), buffer.bytes(), buffer.received()), (3, 3, 3));
    }

    #[test]
    fn what_comes_back_stands_behind_what_is_about_to_be_taken_away() {
        let bounds = Bounds {
            messages: 9,
            bytes: 100,
        };
        let buffer = Buffer::new(bounds);
        buffer.push(received(&["a", "b", "c"]));
        assert_eq!(buffer.front(2).len(), 2);
        buffer.push_again(received(&["x", "y"]));
        buffer.push_again(received(&["z"]));
        // Only one of the two fitted.
        buffer.remove_front(1);
        assert_eq!(payloads(&buffer), ["b", "z", "x", "y", "c"]);
        assert_eq!((buffer.len(), buffer.bytes()), (5, 5));
    }
}
