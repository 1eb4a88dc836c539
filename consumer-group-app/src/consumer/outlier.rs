//! How a consumer has been doing, and whether it is left out for a while.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
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
/// Outlier detection as Envoy does it: consecutive failures eject for a time that grows. Each verdict has its own
/// end, so that none shortens another.
#[derive(Debug, Default)]
pub(crate) struct OutlierDetector(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Whether it ever delivered a message.
    is_proven: bool,
    failures_in_a_row: u32,
    ejections_in_a_row: u32,
    /// When it was last left out. What began before says nothing of how it is since.
    judged: Option<Instant>,
    ejected_until: Option<Instant>,
    closed_until: Option<Instant>,
    waiting_until: Option<Instant>,
}

impl OutlierDetector {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the consumer may be picked now.
    pub(crate) fn fitness(&self) -> Fitness {
        let state = self.state();
        let lasts = |until: Option<Instant>| until.is_some_and(|until| Instant::now() < until);
        if lasts(state.closed_until) {
            Fitness::Closed
        } else if lasts(state.ejected_until) {
            Fitness::Ejected
        } else if lasts(state.waiting_until) {
            Fitness::Waiting
        } else {
            Fitness::Active
        }
    }

    /// Whether the consumer ever delivered a message.
    pub(crate) fn is_proven(&self) -> bool {
        self.state().is_proven
    }

    /// Notes the outcome of an attempt that began then; `true` when it ejected the consumer just now.
    pub(crate) fn note(&self, outcome: &Outcome, begun: Instant) -> bool {
        let mut state = self.state();
        let now = Instant::now();
        match outcome {
            Outcome::Delivered(_) | Outcome::Duplicate(_) | Outcome::UnknownPosition => {
                state.is_proven = true;
                state.succeeded(begun);
                false
            }
            // What never delivered may be anything that answers HTTP.
            Outcome::Rejected(_) => {
                if state.is_proven {
                    state.succeeded(begun);
                }
                false
            }
            Outcome::Busy(wait) => {
                let until = now + (*wait).min(LONGEST_EJECTION);
                state.closed_until = state.closed_until.max(Some(until));
                state.judged = Some(now);
                false
            }
            Outcome::Failed(_) | Outcome::TimedOut | Outcome::BadGateway(_) => {
                state.failures_in_a_row += 1;
                if state.failures_in_a_row < FAILURES_TO_EJECT {
                    return false;
                }
                let until = state.eject(now);
                state.ejected_until = state.ejected_until.max(until);
                until.is_some()
            }
            Outcome::Later(_) => false,
            Outcome::Unreachable(_) | Outcome::Gone => {
                let until = state.eject(now);
                state.closed_until = state.closed_until.max(until);
                until.is_some()
            }
            Outcome::OwnFault(_) => {
                state.waiting_until = Some(now + OWN_FAULT_WAIT);
                false
            }
        }
    }
}

impl State {
    /// A message was processed. That lifts no verdict that was passed after the attempt had begun.
    fn succeeded(&mut self, begun: Instant) {
        self.failures_in_a_row = 0;
        if self.judged.is_none_or(|judged| judged <= begun) {
            self.ejections_in_a_row = 0;
            (self.ejected_until, self.closed_until) = (None, None);
        }
    }

    /// When an ejection ends that begins now; none while it is out already: attempts begun before an ejection
    /// do not lengthen it.
    fn eject(&mut self, now: Instant) -> Option<Instant> {
        if self.ejected_until.max(self.closed_until) > Some(now) {
            return None;
        }
        let factor = 1_u32
            .checked_shl(self.ejections_in_a_row)
            .unwrap_or(u32::MAX);
        let lasts = FIRST_EJECTION.saturating_mul(factor).min(LONGEST_EJECTION);
        self.ejections_in_a_row = self.ejections_in_a_row.saturating_add(1);
        self.failures_in_a_row = 0;
        self.judged = Some(now);
        Some(now + lasts)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;
    use crate::delivery::Remaining;

    /// Notes the outcome of an attempt that begins and ends now.
    fn note(standing: &OutlierDetector, outcome: &Outcome) -> bool {
        standing.note(outcome, Instant::now())
    }

    fn failed() -> Outcome {
        Outcome::Failed("no".to_owned())
    }

    fn refused() -> Outcome {
        Outcome::Unreachable("refused".to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn five_failures_in_a_row_eject_for_a_second() {
        let standing = OutlierDetector::default();
        let ejected: Vec<_> = (0..5).map(|_| note(&standing, &failed())).collect();
        assert_eq!(ejected, [false, false, false, false, true]);
        assert_eq!(standing.fitness(), Fitness::Ejected);
        advance(FIRST_EJECTION).await;
        assert_eq!(standing.fitness(), Fitness::Active);
    }

    #[tokio::test(start_paused = true)]
    async fn a_success_between_failures_starts_the_count_anew() {
        let standing = OutlierDetector::default();
        for _ in 0..20 {
            (0..4).for_each(|_| assert!(!note(&standing, &failed())));
            note(&standing, &Outcome::Delivered(Remaining::Settle));
        }
        assert_eq!(standing.fitness(), Fitness::Active);
    }

    #[tokio::test(start_paused = true)]
    async fn ejections_double_up_to_a_minute_and_start_anew_after_a_success() {
        let standing = OutlierDetector::default();
        let mut lasted = Vec::new();
        for _ in 0..8 {
            assert!(note(&standing, &refused()));
            assert!(!note(&standing, &refused()), "begun before the ejection");
            let from = Instant::now();
            while standing.fitness() == Fitness::Closed {
                advance(Duration::from_secs(1)).await;
            }
            lasted.push(from.elapsed().as_secs());
        }
        assert_eq!(lasted, [1, 2, 4, 8, 16, 32, 60, 60]);
        note(&standing, &Outcome::Delivered(Remaining::Settle));
        note(&standing, &refused());
        advance(FIRST_EJECTION).await;
        assert_eq!(standing.fitness(), Fitness::Active);
    }

    #[tokio::test(start_paused = true)]
    async fn a_fault_of_this_side_is_waited_for_and_not_held_against_the_consumer() {
        let standing = OutlierDetector::default();
        let own_fault = || Outcome::OwnFault("no file descriptor".to_owned());
        for _ in 0..100 {
            assert!(!note(&standing, &own_fault()));
            assert_eq!(standing.fitness(), Fitness::Waiting);
        }
        advance(OWN_FAULT_WAIT).await;
        assert_eq!(standing.fitness(), Fitness::Active);
        note(&standing, &refused());
        note(&standing, &own_fault());
        assert_eq!(standing.fitness(), Fitness::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_success_begun_before_a_verdict_does_not_lift_it() {
        let before = Instant::now();
        for verdict in [Outcome::Busy(Duration::from_secs(30)), refused()] {
            let standing = OutlierDetector::default();
            advance(Duration::from_millis(1)).await;
            note(&standing, &verdict);
            standing.note(&Outcome::Delivered(Remaining::Settle), before);
            assert_eq!(standing.fitness(), Fitness::Closed, "{verdict:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_shorter_verdict_does_not_shorten_a_longer_one() {
        let standing = OutlierDetector::default();
        note(&standing, &Outcome::Busy(Duration::from_secs(30)));
        note(&standing, &Outcome::Busy(Duration::from_secs(1)));
        advance(Duration::from_secs(29)).await;
        assert_eq!(standing.fitness(), Fitness::Closed);
        advance(Duration::from_secs(1)).await;
        for _ in 0..4 {
            note(&standing, &refused());
            note(&standing, &Outcome::Busy(Duration::from_millis(1)));
            assert_eq!(standing.fitness(), Fitness::Closed);
            while standing.fitness() == Fitness::Closed {
                advance(Duration::from_millis(500)).await;
            }
        }
        note(&standing, &refused());
        note(&standing, &Outcome::Busy(Duration::from_secs(1)));
        advance(Duration::from_secs(15)).await;
        assert_eq!(standing.fitness(), Fitness::Closed, "the fifth lasts 16 s");
    }

    #[tokio::test(start_paused = true)]
    async fn a_rejection_by_one_that_never_delivered_clears_nothing() {
        let standing = OutlierDetector::default();
        let rejected = Outcome::Rejected("no".to_owned());
        for _ in 0..4 {
            note(&standing, &failed());
            note(&standing, &rejected);
        }
        assert!(!standing.is_proven());
        assert!(note(&standing, &failed()), "the fifth in a row");
        advance(FIRST_EJECTION).await;
        note(&standing, &Outcome::Delivered(Remaining::Settle));
        assert!(standing.is_proven());
        (0..4).for_each(|_| assert!(!note(&standing, &failed())));
        note(&standing, &rejected);
        assert!(!note(&standing, &failed()), "a proven one's word counts");
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_consumer_is_left_alone_as_long_as_it_asks_and_no_longer_than_a_minute() {
        let standing = OutlierDetector::default();
        assert!(!note(&standing, &Outcome::Busy(Duration::from_secs(3))));
        assert_eq!(standing.fitness(), Fitness::Closed);
        advance(Duration::from_secs(3)).await;
        assert_eq!(standing.fitness(), Fitness::Active);
        note(&standing, &Outcome::Busy(Duration::from_secs(3600)));
        advance(LONGEST_EJECTION).await;
        assert_eq!(standing.fitness(), Fitness::Active);
    }
}
