//! The messages this replica was handed and has not finished with, and the account of all of them.
//!
//! Invariant: received = processed + duplicate + dead-lettered + released + in flight + queued, at every
//! instant. All change under one lock, each step moving a message from one state to another.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use protocol::QueueIdentity;
use service_kit::metrics::Histogram;
use tokio::{sync::Notify, time::Instant};
use tracing::warn;

use super::{account::Account, replaced::ReplacedQueues};
use crate::delivery::{Delivery, Ending, Finished, LeasedMessage};

/// How many messages that are set aside are held beside those that are not.
const MOST_ASIDE: usize = 100_000;

/// The messages this replica answers for; clones share them.
#[derive(Debug, Clone)]
pub(crate) struct LocalQueue(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    max_bytes: usize,
    seconds: Option<Histogram>,
    arrived: Notify,
    finished: Notify,
    has_room: Notify,
    queues: ReplacedQueues,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<LeasedMessage>,
    /// How many have been given a place in it.
    places: u64,
    held_messages: usize,
    held_bytes: usize,
    /// How many in flight are set aside: put off by a consumer, or fetched by one.
    aside: usize,
    account: Account,
}

impl State {
    fn is_all_finished(&self) -> bool {
        let aside = u64::try_from(self.aside).unwrap_or(u64::MAX);
        self.account.unfinished() <= aside
    }

    fn queue(&mut self, mut leased: LeasedMessage) {
        self.places += 1;
        leased.place = self.places;
        self.held_messages += 1;
        self.held_bytes += leased.bytes();
        self.account.queued += 1;
        self.waiting.push_back(leased);
    }
}

impl LocalQueue {
    /// One that has no more bytes of messages than this, and notes in `seconds` how long they take from when they were
    /// received until they are processed.
    pub(crate) fn timed(max_bytes: usize, seconds: Histogram) -> Self {
        Self::with(max_bytes, Some(seconds))
    }

    #[cfg(test)]
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self::with(max_bytes, None)
    }

    fn with(max_bytes: usize, seconds: Option<Histogram>) -> Self {
        Self(Arc::new(Shared {
            max_bytes,
            seconds,
            arrived: Notify::new(),
            finished: Notify::new(),
            has_room: Notify::new(),
            queues: ReplacedQueues::default(),
            state: Mutex::default(),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of which queue was found in Redis.
    pub(crate) fn found(&self, queue: &QueueIdentity) {
        if self.0.queues.found(queue) {
            warn!(
                "the queue in Redis is another than before: it was emptied, or Redis came back without it, or with \
                 an older one. What is held here of the queue before is offered to it; publish again what only that \
                 queue had"
            );
        }
    }

    /// The queues that were in Redis before: what stands in them is lost there.
    pub(crate) fn replaced_queues(&self) -> Vec<QueueIdentity> {
        self.0.queues.replaced()
    }

    /// Receives what this replica was handed; it asked for no more than it has room for.
    pub(crate) fn push_leased(&self, leased: impl IntoIterator<Item = LeasedMessage>) {
        let mut state = self.state();
        for leased in leased {
            state.account.received += 1;
            state.queue(leased);
        }
        drop(state);
        self.0.arrived.notify_one();
    }

    /// Receives what is in flight from the start.
    pub(crate) fn push_in_flight(&self, leased: LeasedMessage) -> Delivery {
        let mut state = self.state();
        state.account.received += 1;
        state.account.in_flight += 1;
        state.held_messages += 1;
        state.held_bytes += leased.bytes();
        drop(state);
        Delivery::new(leased, self.clone())
    }

    /// Receives what is no message, on its way to the dead letters.
    pub(crate) fn push_malformed(&self) -> Malformed {
        let mut state = self.state();
        state.account.received += 1;
        state.account.in_flight += 1;
        drop(state);
        Malformed {
            queue: self.clone(),
            ending: Ending::Released,
        }
    }

    /// How many more messages it may hold, when it may hold `messages` and its bytes. Those that are
    /// set aside hold up no others, unless they are very many.
    pub(crate) fn room(&self, messages: usize) -> usize {
        let state = self.state();
        if state.held_bytes >= self.0.max_bytes {
            return 0;
        }
        let aside = state.aside.min(MOST_ASIDE);
        (messages + aside).saturating_sub(state.held_messages)
    }

    /// One in flight is set aside.
    pub(crate) fn set_aside(&self) {
        let mut state = self.state();
        state.aside += 1;
        self.notify_finished(state);
    }

    /// One of those is taken up again.
    pub(crate) fn take_up(&self) {
        self.state().aside -= 1;
    }

    /// Has whoever waits for room look again.
    pub(crate) fn look_for_room(&self) {
        self.0.has_room.notify_one();
    }

    /// Waits until something was finished since the last call returned.
    pub(crate) async fn has_room(&self) {
        self.0.has_room.notified().await;
    }

    /// Takes up to `most` messages, oldest first.
    pub(crate) fn take(&self, most: usize) -> Vec<Delivery> {
        let mut state = self.state();
        let taken = most.min(state.waiting.len());
        let leased: Vec<_> = state.waiting.drain(..taken).collect();
        let count = u64::try_from(leased.len()).unwrap_or(u64::MAX);
        state.account.queued -= count;
        state.account.in_flight += count;
        drop(state);
        leased
            .into_iter()
            .map(|leased| Delivery::new(leased, self.clone()))
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
    pub(crate) fn give_back(&self, leased: LeasedMessage) {
        let mut state = self.state();
        state.account.in_flight -= 1;
        state.account.queued += 1;
        let is_older = |other: &LeasedMessage| other.place < leased.place;
        let at = state.waiting.partition_point(is_older);
        state.waiting.insert(at, leased);
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
        self.notify_finished(state);
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

    fn notify_finished(&self, state: MutexGuard<'_, State>) {
        let is_empty = state.is_all_finished();
        drop(state);
        self.0.has_room.notify_one();
        if is_empty {
            self.0.finished.notify_waiters();
        }
    }

    /// How many bytes of messages it holds.
    pub(crate) fn held_bytes(&self) -> usize {
        self.state().held_bytes
    }

    /// The account as it stands.
    pub(crate) fn account(&self) -> Account {
        self.state().account
    }

    /// Waits until the group has finished with all it received, but for what is set aside.
    pub(crate) async fn all_finished(&self) {
        loop {
            let finished = self.0.finished.notified();
            if self.state().is_all_finished() {
                return;
            }
            finished.await;
        }
    }
}

/// A payload that is no message, in the account. One that is dropped without an ending is handed out again.
#[derive(Debug)]
pub(crate) struct Malformed {
    queue: LocalQueue,
    ending: Ending,
}

impl Malformed {
    /// Ends it.
    pub(crate) fn finish(mut self, ending: Ending) {
        self.ending = ending;
    }
}

impl Drop for Malformed {
    fn drop(&mut self) {
        let mut state = self.queue.state();
        state.account.end(self.ending);
        self.queue.notify_finished(state);
    }
}

#[cfg(test)]
mod tests;
