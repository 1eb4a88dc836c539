//! When the next message is due.

use std::time::Duration;

/// The shortest pause: at high rates, this is how much time's worth of messages goes at once.
const TICK: Duration = Duration::from_millis(5);

const NANOS_A_SECOND: u128 = 1_000_000_000;

/// A constant rate, counted from the start, so that no delay adds up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Everything is due at once.
    Unlimited,
    /// So many messages a second.
    PerSecond(u32),
}

impl Pace {
    /// The pace for a rate, where 0 is no limit.
    pub(crate) fn new(rate: u32) -> Self {
        match rate {
            0 => Self::Unlimited,
            rate => Self::PerSecond(rate),
        }
    }

    /// How many more messages are due at this time, `sent` being gone.
    pub(crate) fn due(self, elapsed: Duration, sent: u64) -> u64 {
        match self {
            Self::Unlimited => u64::MAX,
            Self::PerSecond(rate) => {
                // The first is due at once.
                let all = elapsed.as_nanos() * u128::from(rate) / NANOS_A_SECOND + 1;
                u64::try_from(all).unwrap_or(u64::MAX).saturating_sub(sent)
            }
        }
    }

    /// When to look again, `sent` being all that was due.
    pub(crate) fn next(self, elapsed: Duration, sent: u64) -> Duration {
        match self {
            Self::Unlimited => elapsed,
            Self::PerSecond(rate) => {
                let nanos = (u128::from(sent) * NANOS_A_SECOND).div_ceil(u128::from(rate));
                let due = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
                due.max(elapsed + TICK)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_rate_everything_is_due_at_once() {
        assert_eq!(Pace::new(0), Pace::Unlimited);
        assert!(Pace::Unlimited.due(Duration::ZERO, 1 << 40) > 1 << 40);
    }

    #[test]
    fn a_rate_is_kept_without_drift_whatever_the_pauses() {
        for rate in [1, 7, 1000, 123_457] {
            let pace = Pace::new(rate);
            let (mut elapsed, mut sent) = (Duration::ZERO, 0);
            while elapsed < Duration::from_secs(10) {
                sent += pace.due(elapsed, sent);
                // The timer is late by an uneven amount.
                elapsed = pace.next(elapsed, sent) + Duration::from_micros(sent % 700);
            }
            let expected = u64::from(rate) * 10;
            let tolerance = u64::from(rate) / 50 + 1;
            assert!(sent.abs_diff(expected) <= tolerance, "{rate}/s: {sent}");
        }
    }

    #[test]
    fn slow_messages_go_one_by_one_and_not_before_their_time() {
        let pace = Pace::new(2);
        assert_eq!(pace.due(Duration::ZERO, 0), 1);
        assert_eq!(pace.due(Duration::from_millis(499), 1), 0);
        assert_eq!(pace.next(Duration::ZERO, 1), Duration::from_millis(500));
        assert_eq!(pace.due(Duration::from_millis(500), 1), 1);
    }
}
