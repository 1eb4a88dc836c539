//! What follows from an attempt that failed: one rule for the group, which pushes, and for consumers that pull.

use std::time::Duration;

use crate::DeadLetterReason;

/// The wait before the second attempt is drawn from zero to this, doubling with each further one…
const BASE_WAIT: Duration = Duration::from_millis(50);

/// …up to this.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// The attempts at a message so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct History {
    /// All of them, with the one that failed just now.
    pub attempts: u64,
    /// How many of them reached no consumer, or one that would not look at the message.
    pub fruitless: u64,
}

/// Whose fault it was that an attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The message's: no consumer will take it.
    Message,
    /// Not the message's, as far as is known: another consumer may process it, or this one another time.
    Attempt,
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextStep {
    /// The message is given up.
    GiveUp(DeadLetterReason),
    /// It is tried again, after a time drawn from zero to this.
    Retry {
        /// The longest wait.
        within: Duration,
    },
}

/// What follows from an attempt that failed. Fruitless attempts do not count towards `max_attempts`.
#[must_use]
pub fn next_step(history: History, fault: Fault, max_attempts: u64) -> NextStep {
    match fault {
        Fault::Message => NextStep::GiveUp(DeadLetterReason::Rejected),
        Fault::Attempt if history.attempts.saturating_sub(history.fruitless) >= max_attempts => {
            NextStep::GiveUp(DeadLetterReason::AttemptsExhausted)
        }
        Fault::Attempt => NextStep::Retry {
            within: longest_wait(history.attempts),
        },
    }
}

/// The longest wait after so many attempts: 50 ms after the first, doubling up to 2 s.
#[must_use]
pub fn longest_wait(attempts: u64) -> Duration {
    let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(u32::MAX);
    let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
    BASE_WAIT.saturating_mul(factor).min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(attempts: u64, fruitless: u64) -> NextStep {
        let history = History {
            attempts,
            fruitless,
        };
        next_step(history, Fault::Attempt, 2)
    }

    #[test]
    fn only_attempts_that_reached_a_consumer_count() {
        let given_up = NextStep::GiveUp(DeadLetterReason::AttemptsExhausted);
        assert!(matches!(after(100, 100), NextStep::Retry { .. }));
        assert!(matches!(after(101, 100), NextStep::Retry { .. }));
        assert_eq!(after(102, 100), given_up);
        assert_eq!(after(2, 0), given_up);
    }

    #[test]
    fn a_message_at_fault_is_given_up_at_once() {
        let history = History {
            attempts: 1,
            fruitless: 0,
        };
        let step = next_step(history, Fault::Message, 10);
        assert_eq!(step, NextStep::GiveUp(DeadLetterReason::Rejected));
    }

    #[test]
    fn waits_double_up_to_two_seconds() {
        let waits: Vec<_> = (0..9).map(|n| longest_wait(n).as_millis()).collect();
        assert_eq!(waits, [50, 50, 100, 200, 400, 800, 1600, 2000, 2000]);
        assert_eq!(longest_wait(u64::MAX), LONGEST_WAIT);
    }
}
