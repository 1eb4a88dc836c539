//! Those that were removed for not answering.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use protocol::ConsumerId;
use tokio::time::Instant;

/// For how long a consumer is looked for after it was removed.
const MISSED_FOR: Duration = Duration::from_secs(600);

/// How many are looked for at once.
const AT_ONCE: usize = 32;

/// They believe themselves registered for minutes yet, so one that answers again, after a freeze or a
/// network failure, is put back.
#[derive(Debug)]
pub(super) struct Missed {
    /// How many are kept at the most.
    most: usize,
    consumers: HashMap<ConsumerId, Times>,
    looking: HashSet<ConsumerId>,
}

#[derive(Debug)]
struct Times {
    since: Instant,
    looked: Instant,
}

impl Missed {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            consumers: HashMap::new(),
            looking: HashSet::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.consumers.is_empty()
    }

    /// Keeps a consumer in mind; of too many the one that has been away longest is forgotten.
    pub(super) fn insert(&mut self, id: ConsumerId) {
        let (since, looked) = (Instant::now(), Instant::now());
        self.consumers.insert(id, Times { since, looked });
        if self.consumers.len() > self.most {
            let longest = self.consumers.iter().min_by_key(|(_, times)| times.since);
            if let Some(id) = longest.map(|(id, _)| id.clone()) {
                self.consumers.remove(&id);
            }
        }
    }

    pub(super) fn remove(&mut self, id: &ConsumerId) {
        self.consumers.remove(id);
    }

    /// Those that should be looked for now, the ones first that have waited longest.
    pub(super) fn begin_looking(&mut self) -> Vec<ConsumerId> {
        self.consumers
            .retain(|_, times| times.since.elapsed() < MISSED_FOR);
        let waiting = self.consumers.iter_mut();
        let mut waiting: Vec<_> = waiting
            .filter(|(id, _)| !self.looking.contains(*id))
            .collect();
        waiting.sort_unstable_by_key(|(_, times)| times.looked);
        waiting.truncate(AT_ONCE.saturating_sub(self.looking.len()));
        let ids: Vec<_> = waiting
            .into_iter()
            .map(|(id, times)| {
                times.looked = Instant::now();
                id.clone()
            })
            .collect();
        self.looking.extend(ids.iter().cloned());
        ids
    }

    /// It was looked for.
    pub(super) fn looked(&mut self, id: &ConsumerId) {
        self.looking.remove(id);
    }

    /// Nobody is being looked for any more.
    pub(super) fn stop_looking(&mut self) {
        self.looking.clear();
    }
}
