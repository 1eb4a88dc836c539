//! Those who fetch messages.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use protocol::lease::WorkerName;
use tokio::time::Instant;

use crate::{
    consumer::stats::{ConsumerStats, OutcomeCounts},
    delivery::Outcome,
    observe::status::ConsumerStatus,
};

/// How many there may be.
const MOST: usize = 1000;

/// For how long one is shown that does not ask any more, and has nothing.
const SHOWN: Duration = Duration::from_secs(60);

/// For how long after it asked it is expected to ask again.
const LATELY: Duration = Duration::from_secs(1);

/// One who fetches messages.
#[derive(Debug)]
pub(crate) struct Worker {
    name: WorkerName,
    stats: ConsumerStats,
    held: AtomicUsize,
    most: AtomicUsize,
    asked: Mutex<Instant>,
}

impl Worker {
    /// What it calls itself.
    pub(crate) fn name(&self) -> &str {
        self.name.as_str()
    }

    /// It has so many messages more.
    pub(super) fn hold(&self, messages: usize) {
        self.held.fetch_add(messages, Ordering::Relaxed);
    }

    /// It has so many less.
    pub(super) fn release(&self, messages: usize) {
        self.held.fetch_sub(messages, Ordering::Relaxed);
    }

    /// How many it has.
    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// How many it asked for last.
    pub(crate) fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }

    /// What it has done.
    pub(crate) fn stats(&self) -> &ConsumerStats {
        &self.stats
    }

    fn has_asked(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn has_asked_within(&self, time: Duration) -> bool {
        let asked = *self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.elapsed() <= time
    }

    fn is_gone(&self) -> bool {
        self.held() == 0 && !self.has_asked_within(SHOWN)
    }
}

/// All of them, and what those that are gone have done.
#[derive(Debug, Default)]
pub(super) struct Workers(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    workers: HashMap<WorkerName, Arc<Worker>>,
    gone: OutcomeCounts,
}

impl State {
    fn tidy(&mut self) {
        let Self { workers, gone } = self;
        workers.retain(|_, worker| {
            let is_gone = worker.is_gone() && Arc::strong_count(worker) == 1;
            if is_gone {
                gone.add(&worker.stats.counts().0);
            }
            !is_gone
        });
    }
}

impl Workers {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The worker of this name, which has asked for so many; `None` when there are too many.
    pub(super) fn of(&self, name: &WorkerName, most: usize) -> Option<Arc<Worker>> {
        let mut state = self.state();
        if state.workers.len() >= MOST {
            state.tidy();
        }
        if let Some(worker) = state.workers.get(name) {
            worker.has_asked(most);
            return Some(Arc::clone(worker));
        }
        if state.workers.len() >= MOST {
            return None;
        }
        let worker = Arc::new(Worker {
            name: name.clone(),
            stats: ConsumerStats::default(),
            held: AtomicUsize::new(0),
            most: AtomicUsize::new(most),
            asked: Mutex::new(Instant::now()),
        });
        state.workers.insert(name.clone(), Arc::clone(&worker));
        Some(worker)
    }

    /// Notes what a message came to.
    pub(super) fn note(worker: &Worker, outcome: &Outcome) {
        worker.stats.note(outcome, 1);
    }

    /// How many messages those want together that asked just now.
    pub(super) fn wanted_lately(&self) -> usize {
        let state = self.state();
        let lately = state
            .workers
            .values()
            .filter(|worker| worker.has_asked_within(LATELY));
        lately.map(|worker| worker.most()).sum()
    }

    /// Whether anybody fetches, or did until lately.
    pub(super) fn are_any(&self) -> bool {
        let mut state = self.state();
        state.tidy();
        !state.workers.is_empty()
    }

    pub(super) fn states(&self) -> Vec<ConsumerStatus> {
        let mut state = self.state();
        state.tidy();
        let mut workers: Vec<_> = state.workers.values().collect();
        workers.sort_by(|one, other| one.name().cmp(other.name()));
        let status = |worker: &&Arc<Worker>| ConsumerStatus::fetching(worker);
        workers.iter().map(status).collect()
    }

    /// What all attempts came to.
    pub(super) fn counts(&self) -> OutcomeCounts {
        let state = self.state();
        let mut counts = state.gone;
        for worker in state.workers.values() {
            counts.add(&worker.stats.counts().0);
        }
        counts
    }
}
