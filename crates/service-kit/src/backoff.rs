//! Exponential back-off with full jitter.

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Waits that double from `base` to `cap`, each drawn uniformly from zero to its bound.
///
/// Full jitter spreads the retries of many clients best; see Marc Brooker, "Exponential Backoff And
/// Jitter", AWS Architecture Blog, 2015.
#[derive(Debug, Clone)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
    failures: u32,
}

impl Backoff {
    /// A back-off whose first wait is at most `base`, and no wait longer than `cap`.
    #[must_use]
    pub fn new(base: Duration, cap: Duration) -> Self {
        Self {
            base,
            cap,
            failures: 0,
        }
    }

    /// Counts a failure and draws the wait after it.
    pub fn next_wait(&mut self) -> Duration {
        let bound = bound(self.base, self.cap, self.failures);
        self.failures = self.failures.saturating_add(1);
        jittered(bound)
    }

    /// Counts a failure and waits after it; being cancelled ends the wait.
    pub async fn wait(&mut self, cancelled: &CancellationToken) {
        tokio::select! {
            () = cancelled.cancelled() => {}
            () = sleep(self.next_wait()) => {}
        }
    }

    /// Forgets the failures; to be called after a real success only.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

fn bound(base: Duration, cap: Duration, failures: u32) -> Duration {
    let factor = 1_u32.checked_shl(failures).unwrap_or(u32::MAX);
    base.saturating_mul(factor).min(cap)
}

/// A wait drawn uniformly from zero to its bound: full jitter.
#[must_use]
pub fn jittered(bound: Duration) -> Duration {
    bound.mul_f64(rand::random::<f64>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_doubles_up_to_the_cap() {
        let (base, cap) = (Duration::from_millis(50), Duration::from_secs(2));
        let bounds: Vec<_> = (0..8).map(|n| bound(base, cap, n).as_millis()).collect();
        assert_eq!(bounds, [50, 100, 200, 400, 800, 1600, 2000, 2000]);
        assert_eq!(bound(base, cap, u32::MAX), cap);
    }

    #[test]
    fn waits_stay_below_the_bound_and_differ() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(1));
        let waits: Vec<_> = (0..100).map(|_| backoff.next_wait()).collect();
        assert!(waits.iter().all(|wait| *wait <= Duration::from_secs(1)));
        assert!(waits.iter().any(|wait| *wait != waits[0]));
    }
}
