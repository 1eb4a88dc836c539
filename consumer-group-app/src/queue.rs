//! The messages the group has received and not finished with, and the account of all of them.
//!
//! Invariant: received = processed + dead-lettered + in flight + queued, at every instant. All four
//! change under one lock, each step moving a message from one state to another.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use protocol::Message;
use tokio::sync::Notify;

use crate::delivery::{Delivery, Ending, Held};

/// How much the queue may hold, messages in flight included.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
}

/// The account, in messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Account {
    /// Heard on the channel, fit or not.
    pub(crate) received: u64,
    /// Waiting in the queue.
    pub(crate) queued: u64,
    /// Taken from the queue: on the way to a consumer, waiting for another attempt, or on the way to
    /// the stream of dead letters.
    pub(crate) in_flight: u64,
    /// Processed by a consumer.
    pub(crate) processed: u64,
    /// In the stream of dead letters.
    pub(crate) dead_lettered: u64,
}

impl Account {
    /// How many messages the group has yet to finish with.
    pub(crate) fn unfinished(&self) -> u64 {
        self.queued + self.in_flight
    }
}

/// The queue of `--queue memory`; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct MemoryQueue(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    bounds: Bounds,
    arrived: Notify,
    finished: Notify,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Held>,
    held_messages: usize,
    held_bytes: usize,
    account: Account,
}

/// The queue had no room.
#[derive(Debug, thiserror::Error)]
#[error("the buffer was full")]
pub(crate) struct Full(pub(crate) Message);

impl MemoryQueue {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self(Arc::new(Shared {
            bounds,
            arrived: Notify::new(),
            finished: Notify::new(),
            state: Mutex::default(),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Receives a message. Without room it counts as in flight: the caller must see to it that it
    /// becomes a dead letter, and say so with [`MemoryQueue::dead_lettered_unqueued`].
    pub(crate) fn push(&self, message: Message) -> Result<(), Full> {
        let held = Held::new(message);
        let mut state = self.state();
        state.account.received += 1;
        let bytes = state.held_bytes + held.bytes();
        if state.held_messages >= self.0.bounds.messages || bytes > self.0.bounds.bytes {
            state.account.in_flight += 1;
            return Err(Full(held.message));
        }
        state.held_messages += 1;
        state.held_bytes = bytes;
        state.account.queued += 1;
        state.waiting.push_back(held);
        drop(state);
        self.0.arrived.notify_one();
        Ok(())
    }

    /// Receives what is no message; it counts as in flight until
    /// [`MemoryQueue::dead_lettered_unqueued`].
    pub(crate) fn receive_unfit(&self) {
        let mut state = self.state();
        state.account.received += 1;
        state.account.in_flight += 1;
    }

    /// Something that was received but never queued is in the stream of dead letters.
    pub(crate) fn dead_lettered_unqueued(&self) {
        let mut state = self.state();
        state.account.in_flight -= 1;
        state.account.dead_lettered += 1;
    }

    /// Takes up to `most` messages, oldest first.
    pub(crate) fn take(&self, most: usize) -> Vec<Delivery> {
        let mut state = self.state();
        let taken = most.min(state.waiting.len());
        let held: Vec<_> = state.waiting.drain(..taken).collect();
        let count = u64::try_from(held.len()).unwrap_or(u64::MAX);
        state.account.queued -= count;
        state.account.in_flight += count;
        drop(state);
        held.into_iter()
            .map(|held| Delivery::new(held, self.clone()))
            .collect()
    }

    /// Waits until a message has come since the last call returned.
    pub(crate) async fn arrived(&self) {
        self.0.arrived.notified().await;
    }

    /// Whether no message waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.state().waiting.is_empty()
    }

    /// Puts a message back where it will be taken first.
    pub(crate) fn give_back(&self, held: Held) {
        let mut state = self.state();
        state.account.in_flight -= 1;
        state.account.queued += 1;
        state.waiting.push_front(held);
        drop(state);
        self.0.arrived.notify_one();
    }

    /// Ends a message; its room is free.
    pub(crate) fn finish(&self, held: &Held, ending: Ending) {
        let mut state = self.state();
        state.account.in_flight -= 1;
        match ending {
            Ending::Processed => state.account.processed += 1,
            Ending::DeadLettered => state.account.dead_lettered += 1,
        }
        state.held_messages -= 1;
        state.held_bytes -= held.bytes();
        let is_empty = state.account.unfinished() == 0;
        drop(state);
        if is_empty {
            self.0.finished.notify_waiters();
        }
    }

    /// The account as it stands.
    pub(crate) fn account(&self) -> Account {
        self.state().account
    }

    /// Waits until the group has finished with all it received.
    pub(crate) async fn all_finished(&self) {
        loop {
            let finished = self.0.finished.notified();
            if self.account().unfinished() == 0 {
                return;
            }
            finished.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn message(id: usize) -> Message {
        Message::parse(Bytes::from(format!(r#"{{"message_id":"{id}"}}"#))).unwrap()
    }

    fn ids(deliveries: &[Delivery]) -> Vec<&str> {
        deliveries
            .iter()
            .map(|delivery| delivery.held.message.id().as_str())
            .collect()
    }

    fn adds_up(queue: &MemoryQueue) -> Account {
        let account = queue.account();
        let sum = account.unfinished() + account.processed + account.dead_lettered;
        assert_eq!(account.received, sum, "{account:?}");
        account
    }

    #[test]
    fn a_delivery_that_is_dropped_goes_back_and_is_taken_first() {
        let queue = MemoryQueue::new(Bounds {
            messages: 10,
            bytes: 1000,
        });
        for id in 0..3 {
            queue.push(message(id)).unwrap();
        }
        let taken = queue.take(1);
        assert_eq!(adds_up(&queue).in_flight, 1);
        drop(taken);
        assert_eq!(adds_up(&queue).queued, 3);
        assert_eq!(ids(&queue.take(9)), ["0", "1", "2"]);
    }

    #[test]
    fn room_is_bounded_in_messages_until_they_are_finished() {
        let queue = MemoryQueue::new(Bounds {
            messages: 2,
            bytes: 1000,
        });
        queue.push(message(1)).unwrap();
        queue.push(message(2)).unwrap();
        let mut taken = queue.take(2);
        assert!(queue.push(message(3)).is_err());
        queue.dead_lettered_unqueued();
        taken.pop().unwrap().processed();
        taken.pop().unwrap().dead_lettered();
        queue.push(message(4)).unwrap();
        let expected = Account {
            received: 4,
            queued: 1,
            in_flight: 0,
            processed: 1,
            dead_lettered: 2,
        };
        assert_eq!(adds_up(&queue), expected);
    }

    #[test]
    fn room_is_bounded_in_bytes() {
        let bytes = message(1).body().len();
        let queue = MemoryQueue::new(Bounds {
            messages: 10,
            bytes: 2 * bytes,
        });
        queue.push(message(1)).unwrap();
        queue.push(message(2)).unwrap();
        assert!(queue.push(message(3)).is_err());
        adds_up(&queue);
    }

    #[tokio::test]
    async fn all_is_finished_once_the_last_delivery_is() {
        let queue = MemoryQueue::new(Bounds {
            messages: 10,
            bytes: 1000,
        });
        queue.all_finished().await;
        queue.push(message(1)).unwrap();
        let delivery = queue.take(1).remove(0);
        tokio::join!(queue.all_finished(), async { delivery.processed() });
    }
}
