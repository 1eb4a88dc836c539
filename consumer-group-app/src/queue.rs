//! The messages the group has received and not finished with, and the account of all of them.
//!
//! Invariant: received = processed + duplicate + dead-lettered + elsewhere + in flight + queued, at every
//! instant. All change under one lock, each step moving a message from one state to another.
//!
//! With `--queue memory` there is one such queue, between listener and dispatcher. With `--queue stream`
//! there are two: the buffer between listener and durable queue, and what was handed to this replica from
//! there.

mod account;
mod unqueued;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use protocol::{DeadLetter, DeadLetterReason, Message};
use service_kit::metrics::Histogram;
use tokio::{sync::Notify, time::Instant};

use self::unqueued::Kept;
pub(crate) use self::{account::Account, unqueued::Unqueued};
use crate::delivery::{Delivery, Ending, Finished, Held};

/// The last error of a message that could not be queued.
const BUFFER_FULL: &str = "the buffer was full";

/// How much the queue may hold, messages in flight included.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
}

/// A queue in memory; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct MemoryQueue(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    bounds: Bounds,
    seconds: Option<Histogram>,
    arrived: Notify,
    finished: Notify,
    has_room: Notify,
    unqueued: Notify,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Held>,
    /// How many have been given a place in it.
    places: u64,
    /// What was received but not queued, and given back by whoever had it.
    unqueued: VecDeque<Kept>,
    held_messages: usize,
    held_bytes: usize,
    account: Account,
}

impl State {
    fn queue(&mut self, mut held: Held) {
        self.places += 1;
        held.place = self.places;
        self.held_messages += 1;
        self.held_bytes += held.bytes();
        self.account.queued += 1;
        self.waiting.push_back(held);
    }
}

impl MemoryQueue {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self::with(bounds, None)
    }

    /// The same, with a histogram of how long messages take from when they were received until they are
    /// processed.
    pub(crate) fn timed(bounds: Bounds, seconds: Histogram) -> Self {
        Self::with(bounds, Some(seconds))
    }

    fn with(bounds: Bounds, seconds: Option<Histogram>) -> Self {
        Self(Arc::new(Shared {
            bounds,
            seconds,
            arrived: Notify::new(),
            finished: Notify::new(),
            has_room: Notify::new(),
            unqueued: Notify::new(),
            state: Mutex::default(),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Receives messages; answers those there was no room for, as what they are to become.
    pub(crate) fn push(&self, messages: Vec<Message>) -> Vec<Unqueued> {
        let (mut refused, received) = (Vec::new(), Instant::now());
        let mut state = self.state();
        for message in messages {
            let held = Held::new(message, received);
            state.account.received += 1;
            let bytes = state.held_bytes + held.bytes();
            if state.held_messages >= self.0.bounds.messages || bytes > self.0.bounds.bytes {
                state.account.in_flight += 1;
                refused.push(held.message);
            } else {
                state.queue(held);
            }
        }
        drop(state);
        self.0.arrived.notify_one();
        let full =
            |message| DeadLetter::new(&message, DeadLetterReason::BufferFull, 0, BUFFER_FULL);
        let refused = refused.into_iter().map(full);
        refused
            .map(|letter| Unqueued::new(letter, self.clone()))
            .collect()
    }

    /// Receives what this replica was handed from the durable queue; it asked for no more than it has
    /// room for.
    pub(crate) fn push_handed(&self, held: impl IntoIterator<Item = Held>) {
        let mut state = self.state();
        for held in held {
            state.account.received += 1;
            state.queue(held);
        }
        drop(state);
        self.0.arrived.notify_one();
    }

    /// Receives what is in flight from the start.
    pub(crate) fn push_in_flight(&self, held: Held) -> Delivery {
        let mut state = self.state();
        state.account.received += 1;
        state.account.in_flight += 1;
        state.held_messages += 1;
        state.held_bytes += held.bytes();
        drop(state);
        Delivery::new(held, self.clone())
    }

    /// How many more messages it may hold, when it may hold `messages` and its bytes.
    pub(crate) fn room(&self, messages: usize) -> usize {
        let state = self.state();
        if state.held_bytes >= self.0.bounds.bytes {
            return 0;
        }
        messages.saturating_sub(state.held_messages)
    }

    /// Waits until something was finished since the last call returned.
    pub(crate) async fn has_room(&self) {
        self.0.has_room.notified().await;
    }

    /// Receives what is no message, as what it is to become.
    pub(crate) fn receive_unfit(&self, letter: DeadLetter) -> Unqueued {
        let mut state = self.state();
        state.account.received += 1;
        state.account.in_flight += 1;
        drop(state);
        Unqueued::new(letter, self.clone())
    }

    /// Something that was received but never queued came to its end.
    fn finish_unqueued(&self, ending: Ending) {
        let mut state = self.state();
        state.account.end(ending);
        self.tell_finished(state);
    }

    fn give_back_unqueued(&self, kept: Kept) {
        self.state().unqueued.push_back(kept);
        self.0.unqueued.notify_one();
    }

    /// Takes up to `most` of what was received, not queued, and given back.
    pub(crate) fn take_unqueued(&self, most: usize) -> Vec<Unqueued> {
        let mut state = self.state();
        let taken = most.min(state.unqueued.len());
        let kept: Vec<_> = state.unqueued.drain(..taken).collect();
        drop(state);
        let again = |kept| Unqueued::again(kept, self.clone());
        kept.into_iter().map(again).collect()
    }

    /// Waits until something was given back for [`MemoryQueue::take_unqueued`] since the last call returned.
    pub(crate) async fn unqueued(&self) {
        self.0.unqueued.notified().await;
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

    /// Puts a message back to its place: before all that came after it.
    pub(crate) fn give_back(&self, held: Held) {
        let mut state = self.state();
        state.account.in_flight -= 1;
        state.account.queued += 1;
        let is_older = |other: &Held| other.place < held.place;
        let at = state.waiting.partition_point(is_older);
        state.waiting.insert(at, held);
        drop(state);
        self.0.arrived.notify_one();
    }

    /// Ends messages of so many bytes each; their room is free.
    pub(crate) fn finish(&self, messages: &[Finished]) {
        self.time(messages);
        let mut state = self.state();
        for message in messages {
            state.account.end(message.ending);
            state.held_messages -= 1;
            state.held_bytes -= message.bytes;
        }
        self.tell_finished(state);
    }

    /// Notes how long those that were processed took.
    fn time(&self, messages: &[Finished]) {
        let Some(seconds) = &self.0.seconds else {
            return;
        };
        let (now, seconds) = (Instant::now(), seconds.local());
        for message in messages {
            if message.ending == Ending::Processed {
                seconds.observe((now - message.received).as_secs_f64());
            }
        }
        seconds.flush();
    }

    fn tell_finished(&self, state: MutexGuard<'_, State>) {
        let is_empty = state.account.unfinished() == 0;
        drop(state);
        self.0.has_room.notify_one();
        if is_empty {
            self.0.finished.notify_waiters();
        }
    }

    /// How long the message that has waited longest has waited.
    pub(crate) fn oldest(&self) -> Option<Duration> {
        let state = self.state();
        state.waiting.front().map(|held| held.received.elapsed())
    }

    /// How many bytes of messages it holds.
    pub(crate) fn held_bytes(&self) -> usize {
        self.state().held_bytes
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
mod tests;
