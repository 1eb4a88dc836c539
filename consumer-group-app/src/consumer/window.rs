//! How many messages one consumer may hold now, shared by those who bind messages to it and those who deliver them.

mod control;
mod hill_climb;

use std::{
    num::NonZeroU32,
    sync::atomic::{AtomicU32, AtomicUsize, Ordering},
};

pub(crate) use self::control::{End, Most, WindowControl};

/// Where the concurrency of a consumer that declares none starts.
const START: usize = 1;

/// The window of one consumer, in messages.
///
/// It is as wide as the consumer's **concurrency**, how many messages it works on at once: what it declares, else
/// what is learnt. What it gets done within a few milliseconds, its **ahead**, may be more: then it may hold so
/// much, so that it need not wait for the next messages while the answer is on its way. A message that is bound
/// is thus worked on at once, or within those milliseconds.
#[derive(Debug)]
pub(crate) struct Window {
    /// What is bound to the consumer: under way, or in its sender. Requests that seem to hang do not count.
    held: AtomicUsize,
    /// What it has been given and not answered, all of it.
    under_way: AtomicUsize,
    /// What it declares; 0: nothing.
    declared: AtomicU32,
    learnt: AtomicUsize,
    ahead: AtomicUsize,
    max_batch: AtomicUsize,
}

impl Default for Window {
    fn default() -> Self {
        Self {
            held: AtomicUsize::new(0),
            under_way: AtomicUsize::new(0),
            declared: AtomicU32::new(0),
            learnt: AtomicUsize::new(START),
            ahead: AtomicUsize::new(0),
            max_batch: AtomicUsize::new(1),
        }
    }
}

impl Window {
    /// How many messages the consumer may hold.
    pub(crate) fn size(&self) -> usize {
        self.concurrency().max(self.ahead.load(Ordering::Relaxed))
    }

    /// How many messages the consumer works on at once, as far as is known.
    fn concurrency(&self) -> usize {
        self.declared().map_or_else(
            || self.learnt.load(Ordering::Relaxed),
            |declared| usize::try_from(declared.get()).unwrap_or(usize::MAX),
        )
    }

    /// How many messages the consumer says it works on at once.
    pub(crate) fn declared(&self) -> Option<NonZeroU32> {
        NonZeroU32::new(self.declared.load(Ordering::Relaxed))
    }

    /// How many it takes in one request; 1: one by one.
    pub(crate) fn max_batch(&self) -> usize {
        self.max_batch.load(Ordering::Relaxed)
    }

    /// How many messages are bound to it.
    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// How many messages the consumer has been given and not answered yet.
    pub(crate) fn under_way(&self) -> usize {
        self.under_way.load(Ordering::Relaxed)
    }

    /// How many more messages may be bound to it.
    pub(crate) fn room(&self) -> usize {
        self.size().saturating_sub(self.held())
    }

    /// How many of those it starts on at once, for sure. Of one that declares nothing that is known only while
    /// it has nothing to do.
    pub(crate) fn free(&self) -> usize {
        let at_once = self.declared().map_or(START, |_| self.concurrency());
        at_once.saturating_sub(self.held())
    }

    /// Whether so many may be bound to it that whoever binds them should look again. In the small steps of a
    /// consumer that is quick that would cost more than it brings.
    pub(crate) fn has_much_room(&self) -> bool {
        let (size, concurrency) = (self.size(), self.concurrency());
        self.room() > (size - concurrency.min(size)) / 2
    }

    /// A message is bound to it. Before the sender has it, so that the sender never releases what is not bound.
    pub(crate) fn bind(&self) {
        self.held.fetch_add(1, Ordering::Relaxed);
    }

    /// So many are bound to it no more.
    pub(crate) fn release(&self, messages: usize) {
        let less = |held: usize| Some(held.saturating_sub(messages));
        // `less` always has an answer.
        let _before = self
            .held
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    /// How much it has been given, and how many messages at once it seems to work on.
    fn set_load(&self, under_way: usize, learnt: usize) {
        self.under_way.store(under_way, Ordering::Relaxed);
        self.learnt.store(learnt, Ordering::Relaxed);
    }

    /// How many messages it gets done within a few milliseconds.
    fn set_ahead(&self, ahead: usize) {
        self.ahead.store(ahead, Ordering::Relaxed);
    }

    /// The consumer says how many messages it takes in one request; 1 when it says nothing of it.
    pub(crate) fn set_max_batch(&self, max_batch: Option<u32>) {
        let most = max_batch.map_or(1, |most| usize::try_from(most).unwrap_or(usize::MAX));
        self.max_batch.store(most.max(1), Ordering::Relaxed);
    }

    /// The consumer says how many messages it works on at once, or says nothing of it.
    pub(crate) fn set_declared(&self, concurrency: Option<NonZeroU32>) {
        let concurrency = concurrency.map_or(0, NonZeroU32::get);
        self.declared.store(concurrency, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_what_is_declared_or_more_when_it_is_soon_done() {
        let window = Window::default();
        assert_eq!((window.size(), window.free()), (1, 1));
        window.set_declared(NonZeroU32::new(8));
        window.bind();
        assert_eq!((window.size(), window.room(), window.free()), (8, 7, 7));
        window.ahead.store(100, Ordering::Relaxed);
        assert_eq!((window.size(), window.room(), window.free()), (100, 99, 7));
        window.set_declared(None);
        assert_eq!((window.room(), window.free()), (99, 0));
        window.release(2);
        assert_eq!(window.held(), 0, "never below nothing");
    }

    #[test]
    fn who_binds_messages_is_woken_for_each_that_is_long_and_for_many_that_are_short() {
        let window = Window::default();
        window.set_declared(NonZeroU32::new(2));
        (0..2).for_each(|_| window.bind());
        assert!(!window.has_much_room());
        window.release(1);
        assert!(window.has_much_room());
        window.ahead.store(102, Ordering::Relaxed);
        (0..50).for_each(|_| window.bind());
        assert!(window.has_much_room());
        window.bind();
        assert!(!window.has_much_room());
    }
}
