//! What one consumer has done since it joined: written by its sender, read by whoever tells of it.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use serde::Serialize;
use utoipa::ToSchema;

use crate::delivery::Outcome;

/// Of how many requests the times are kept.
const TIMES: usize = 512;

/// The record of one consumer, shared by its sender and those who tell of it.
#[derive(Debug)]
pub(crate) struct ConsumerStats(Mutex<State>);

#[derive(Debug)]
struct State {
    since: SystemTime,
    outcomes: OutcomeCounts,
    ejections: u64,
    last_error: Option<(SystemTime, String)>,
    /// The times of the last requests, the oldest overwritten first.
    times: Vec<Duration>,
    oldest: usize,
}

/// How many attempts came to what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct OutcomeCounts {
    pub(crate) delivered: u64,
    pub(crate) duplicate: u64,
    pub(crate) rejected: u64,
    pub(crate) busy: u64,
    pub(crate) later: u64,
    pub(crate) failed: u64,
    pub(crate) timed_out: u64,
    pub(crate) unreachable: u64,
}

impl OutcomeCounts {
    /// Each outcome by its name.
    pub(crate) fn each(&self) -> [(&'static str, u64); 8] {
        [
            ("delivered", self.delivered),
            ("duplicate", self.duplicate),
            ("rejected", self.rejected),
            ("busy", self.busy),
            ("later", self.later),
            ("failed", self.failed),
            ("timed_out", self.timed_out),
            ("unreachable", self.unreachable),
        ]
    }

    /// Counts those of another, too.
    pub(crate) fn add(&mut self, other: &Self) {
        self.delivered += other.delivered;
        self.duplicate += other.duplicate;
        self.rejected += other.rejected;
        self.busy += other.busy;
        self.later += other.later;
        self.failed += other.failed;
        self.timed_out += other.timed_out;
        self.unreachable += other.unreachable;
    }

    /// Where an outcome is counted, if it says something of the consumer.
    fn of(&mut self, outcome: &Outcome) -> Option<&mut u64> {
        let count = match outcome {
            Outcome::Delivered(_) => &mut self.delivered,
            Outcome::Duplicate(_) => &mut self.duplicate,
            Outcome::Rejected(_) => &mut self.rejected,
            Outcome::Busy(_) => &mut self.busy,
            Outcome::Later(_) => &mut self.later,
            Outcome::Failed(_) => &mut self.failed,
            Outcome::TimedOut => &mut self.timed_out,
            Outcome::Unreachable(_) | Outcome::BadGateway(_) | Outcome::Gone => {
                &mut self.unreachable
            }
            // That says something of the queue.
            Outcome::OwnFault(_) | Outcome::UnknownPosition => return None,
        };
        Some(count)
    }
}

/// A record as it is at one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Extract {
    /// When the consumer joined.
    pub(crate) since: SystemTime,
    /// Of the messages it was given.
    pub(crate) outcomes: OutcomeCounts,
    /// How often it was left out for a while.
    pub(crate) ejections: u64,
    /// What went wrong last, and when.
    pub(crate) last_error: Option<(SystemTime, String)>,
    /// The time within which half of its last [`TIMES`] requests were answered.
    pub(crate) p50: Option<Duration>,
    /// The time within which 99 % of them were.
    pub(crate) p99: Option<Duration>,
}

impl Default for ConsumerStats {
    fn default() -> Self {
        Self(Mutex::new(State {
            since: SystemTime::now(),
            outcomes: OutcomeCounts::default(),
            ejections: 0,
            last_error: None,
            times: Vec::new(),
            oldest: 0,
        }))
    }
}

impl ConsumerStats {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many messages were given to the consumer in attempts that came to this.
    pub(crate) fn note(&self, outcome: &Outcome, messages: u64) {
        let mut state = self.state();
        let Some(count) = state.outcomes.of(outcome) else {
            return;
        };
        *count += messages;
        let is_fine = |outcome| {
            matches!(
                outcome,
                &Outcome::Delivered(_) | &Outcome::Duplicate(_) | &Outcome::Later(_)
            )
        };
        if !is_fine(outcome) {
            state.last_error = Some((SystemTime::now(), outcome.describe()));
        }
    }

    /// A request was answered after so long.
    pub(crate) fn answered(&self, took: Duration) {
        let mut state = self.state();
        let oldest = state.oldest;
        match state.times.get_mut(oldest) {
            Some(time) => *time = took,
            None => state.times.push(took),
        }
        state.oldest = (oldest + 1) % TIMES;
    }

    /// The consumer was left out.
    pub(crate) fn ejected(&self) {
        self.state().ejections += 1;
    }

    /// What the attempts came to, and how often the consumer was left out.
    pub(crate) fn counts(&self) -> (OutcomeCounts, u64) {
        let state = self.state();
        (state.outcomes, state.ejections)
    }

    /// What is in it now.
    pub(crate) fn read(&self) -> Extract {
        let (mut extract, mut times) = {
            let state = self.state();
            let extract = Extract {
                since: state.since,
                outcomes: state.outcomes,
                ejections: state.ejections,
                last_error: state.last_error.clone(),
                p50: None,
                p99: None,
            };
            (extract, state.times.clone())
        };
        times.sort_unstable();
        // The nearest rank.
        let within = |percent: usize| times.get((times.len() * percent).div_ceil(100).max(1) - 1);
        extract.p50 = within(50).copied();
        extract.p99 = within(99).copied();
        extract
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::Remaining;

    #[test]
    fn every_outcome_is_counted_and_the_last_error_kept() {
        let record = ConsumerStats::default();
        record.note(&Outcome::Delivered(Remaining::Settle), 500);
        record.note(&Outcome::Failed("first".to_owned()), 1);
        record.note(&Outcome::Unreachable("second".to_owned()), 2);
        record.note(&Outcome::Duplicate(Remaining::Settle), 3);
        record.ejected();
        let extract = record.read();
        let expected = OutcomeCounts {
            delivered: 500,
            failed: 1,
            unreachable: 2,
            duplicate: 3,
            ..OutcomeCounts::default()
        };
        assert_eq!(extract.outcomes, expected);
        assert_eq!(extract.last_error.unwrap().1, "second");
        assert_eq!((extract.ejections, extract.p50), (1, None));
    }

    #[test]
    fn percentiles_are_those_of_the_last_requests() {
        let record = ConsumerStats::default();
        let millis = Duration::from_millis;
        record.answered(millis(7));
        assert_eq!(
            (record.read().p50, record.read().p99),
            (Some(millis(7)), Some(millis(7)))
        );
        (0..TIMES).for_each(|_| record.answered(millis(1000)));
        (1..=100).for_each(|time| record.answered(millis(time)));
        assert_eq!(
            record.read().p50,
            Some(millis(1000)),
            "412 of 512 are of before"
        );
        (0..5).for_each(|_| (1..=100).for_each(|time| record.answered(millis(time))));
        let extract = record.read();
        assert!((millis(45)..=millis(55)).contains(&extract.p50.unwrap()));
        assert_eq!(extract.p99, Some(millis(100)));
    }
}
