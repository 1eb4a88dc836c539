//! How a consumer has been doing, and whether it is left out for a while.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::delivery::Outcome;

/// How many failures in a row eject a consumer.
const FAILURES_TO_EJECT: u32 = 5;

/// How long the first ejection lasts; each one after it lasts twice as long as the one before.
const FIRST_EJECTION: Duration = Duration::from_secs(1);

/// How long an ejection lasts at the most, and the most that a busy consumer may ask for.
const LONGEST_EJECTION: Duration = Duration::from_secs(60);

/// How long nothing new goes to a consumer that this side could not connect to.
const OWN_FAULT_WAIT: Duration = Duration::from_millis(200);

/// Whether a consumer may be picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fitness {
    /// It may.
    Active,
    /// It failed repeatedly; it may be picked when most others did, too.
    Ejected,
    /// It could not be connected to, or said that it is busy: picking it would be no use.
    Closed,
    /// This side could not connect to it. That is not held against it.
    Waiting,
}

/// The standing of one consumer, shared by those who pick it and those who deliver to it.
///
/// Outlier detection as Envoy does it: consecutive failures eject for a time that grows.
#[derive(Debug, Default)]
pub(crate) struct Standing(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures_in_a_row: u32,
    ejections_in_a_row: u32,
    out: Option<Out>,
}

#[derive(Debug, Clone, Copy)]
struct Out {
    until: Instant,
    fitness: Fitness,
}

impl Standing {
    /// Whether the consumer may be picked now.
    pub(crate) fn fitness(&self) -> Fitness {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match state.out {
            None => Fitness::Active,
            Some(out) if Instant::now() < out.until => out.fitness,
            Some(_) => {
                state.out = None;
                Fitness::Active
            }
        }
    }

    /// Notes an attempt's outcome; `true` when it ejected the consumer just now.
    pub(crate) fn note(&self, outcome: &Outcome) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Outcome::Delivered | Outcome::Duplicate | Outcome::Rejected(_) => {
                *state = State::default();
                false
            }
            Outcome::Busy(wait) => {
                let until = Instant::now() + (*wait).min(LONGEST_EJECTION);
                state.out = Some(Out {
                    until,
                    fitness: Fitness::Closed,
                });
                false
            }
            Outcome::Failed(_) | Outcome::TimedOut => {
                state.failures_in_a_row += 1;
                state.failures_in_a_row >= FAILURES_TO_EJECT && state.eject(Fitness::Ejected)
            }
            Outcome::Unreachable(_) => state.eject(Fitness::Closed),
            Outcome::OwnFault(_) => {
                state.wait();
                false
            }
        }
    }
}

impl State {
    /// Waits a little, unless it is out for longer.
    fn wait(&mut self) {
        let until = Instant::now() + OWN_FAULT_WAIT;
        if self.out.is_none_or(|out| out.until < until) {
            let fitness = Fitness::Waiting;
            self.out = Some(Out { until, fitness });
        }
    }

    /// Ejects, unless it is out already: attempts begun before the ejection do not lengthen it.
    fn eject(&mut self, fitness: Fitness) -> bool {
        let now = Instant::now();
        if self.out.is_some_and(|out| now < out.until) {
            return false;
        }
        let factor = 1_u32
            .checked_shl(self.ejections_in_a_row)
            .unwrap_or(u32::MAX);
        let lasts = FIRST_EJECTION.saturating_mul(factor).min(LONGEST_EJECTION);
        self.ejections_in_a_row = self.ejections_in_a_row.saturating_add(1);
        self.failures_in_a_row = 0;
        self.out = Some(Out {
            until: now + lasts,
            fitness,
        });
        true
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn failed() -> Outcome {
        Outcome::Failed("no".to_owned())
    }

    fn refused() -> Outcome {
        Outcome::Unreachable("refused".to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn five_failures_in_a_row_eject_for_a_second() {
        let standing = Standing::default();
        let ejected: Vec<_> = (0..5).map(|_| standing.note(&failed())).collect();
        assert_eq!(ejected, [false, false, false, false, true]);
        assert_eq!(standing.fitness(), Fitness::Ejected);
        advance(FIRST_EJECTION).await;
        assert_eq!(standing.fitness(), Fitness::Active);
    }

    #[tokio::test(start_paused = true)]
    async fn a_success_between_failures_starts_the_count_anew() {
        let standing = Standing::default();
        for _ in 0..20 {
            (0..4).for_each(|_| assert!(!standing.note(&failed())));
            standing.note(&Outcome::Delivered);
        }
        assert_eq!(standing.fitness(), Fitness::Active);
    }

    #[tokio::test(start_paused = true)]
    async fn ejections_double_up_to_a_minute_and_start_anew_after_a_success() {
        let standing = Standing::default();
        let mut lasted = Vec::new();
        for _ in 0..8 {
            assert!(standing.note(&refused()));
            assert!(!standing.note(&refused()), "begun before the ejection");
            let from = Instant::now();
            while standing.fitness() == Fitness::Closed {
                advance(Duration::from_secs(1)).await;
            }
            lasted.push(from.elapsed().as_secs());
        }
        assert_eq!(lasted, [1, 2, 4, 8, 16, 32, 60, 60]);
        standing.note(&Outcome::Delivered);
        standing.note(&refused());
        advance(FIRST_EJECTION).await;
        assert_eq!(standing.fitness(), Fitness::Active);
    }

    #[tokio::test(start_paused = true)]
    async fn a_fault_of_this_side_is_waited_for_and_not_held_against_the_consumer() {
        let standing = Standing::default();
        for _ in 0..100 {
            assert!(!standing.note(&Outcome::OwnFault("no file descriptor".to_owned())));
            assert_eq!(standing.fitness(), Fitness::Waiting);
        }
        advance(OWN_FAULT_WAIT).await;
        assert_eq!(standing.fitness(), Fitness::Active);
        standing.note(&refused());
        standing.note(&Outcome::OwnFault("no file descriptor".to_owned()));
        assert_eq!(standing.fitness(), Fitness::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_consumer_is_left_alone_as_long_as_it_asks_and_no_longer_than_a_minute() {
        let standing = Standing::default();
        assert!(!standing.note(&Outcome::Busy(Duration::from_secs(3))));
        assert_eq!(standing.fitness(), Fitness::Closed);
        advance(Duration::from_secs(3)).await;
        assert_eq!(standing.fitness(), Fitness::Active);
        standing.note(&Outcome::Busy(Duration::from_secs(3600)));
        advance(LONGEST_EJECTION).await;
        assert_eq!(standing.fitness(), Fitness::Active);
    }
}
