//! How much a consumer may be given: found out by its outbox, kept to by the dispatcher.

use std::{
    num::NonZeroU32,
    sync::atomic::{AtomicU32, AtomicUsize, Ordering},
};

/// The flow of messages to one consumer, shared by those who pick it and those who deliver to it.
#[derive(Debug)]
pub(crate) struct Flow {
    under_way: AtomicUsize,
    limit: AtomicUsize,
    max_batch: AtomicUsize,
    /// What it declares; 0: nothing.
    concurrency: AtomicU32,
}

impl Flow {
    /// `limit` is what it starts with.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            under_way: AtomicUsize::new(0),
            limit: AtomicUsize::new(limit),
            max_batch: AtomicUsize::new(1),
            concurrency: AtomicU32::new(0),
        }
    }

    /// How many messages the consumer has been given and not answered yet.
    pub(crate) fn under_way(&self) -> usize {
        self.under_way.load(Ordering::Relaxed)
    }

    /// How many that may be.
    pub(crate) fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    /// How many it takes in one request; 1: one by one.
    pub(crate) fn max_batch(&self) -> usize {
        self.max_batch.load(Ordering::Relaxed)
    }

    /// How many messages the consumer says it works on at once.
    pub(crate) fn concurrency(&self) -> Option<NonZeroU32> {
        NonZeroU32::new(self.concurrency.load(Ordering::Relaxed))
    }

    /// The consumer says how many messages it works on at once, or says nothing of it.
    pub(crate) fn set_concurrency(&self, concurrency: Option<NonZeroU32>) {
        let concurrency = concurrency.map_or(0, NonZeroU32::get);
        self.concurrency.store(concurrency, Ordering::Relaxed);
    }

    /// How many more messages may be put beside the `waiting`: as many may wait as may be under way, so
    /// that the next are there as soon as it answers, and what waits for a slow consumer is little.
    pub(crate) fn room(&self, waiting: usize) -> usize {
        (2 * self.limit()).saturating_sub(waiting + self.under_way())
    }

    /// The outbox gave it messages, or the consumer answered.
    pub(crate) fn set_under_way(&self, under_way: usize, limit: usize) {
        self.under_way.store(under_way, Ordering::Relaxed);
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// The consumer says how many messages it takes in one request; 1 when it says nothing of it.
    pub(crate) fn set_max_batch(&self, max_batch: Option<u32>) {
        let most = max_batch.map_or(1, |most| usize::try_from(most).unwrap_or(usize::MAX));
        self.max_batch.store(most.max(1), Ordering::Relaxed);
    }
}
