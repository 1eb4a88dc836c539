//! Keeps a log line that could repeat thousands of times a second to one in a while.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Says whether it is time to log again, and how many times it was not.
///
/// ```
/// # use std::time::Duration;
/// # use service_kit::log_throttle::LogThrottle;
/// let failures = LogThrottle::every(Duration::from_secs(10));
/// assert_eq!(failures.due(), Some(0));
/// assert_eq!(failures.due(), None);
/// let two = LogThrottle::times(2, Duration::from_millis(10));
/// assert_eq!([two.due(), two.due(), two.due()], [Some(0), Some(0), None]);
/// std::thread::sleep(Duration::from_millis(20));
/// assert_eq!([two.due(), two.due(), two.due()], [Some(1), Some(0), None]);
/// ```
#[derive(Debug)]
pub struct LogThrottle {
    every: Duration,
    times: u32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Since when the lines are counted, and how many there have been.
    since: Option<Instant>,
    lines: u32,
    suppressed: u64,
}

impl LogThrottle {
    /// One line in `every`; the first comes at once.
    #[must_use]
    pub fn every(every: Duration) -> Self {
        Self::times(1, every)
    }

    /// So many lines in `every`; the first ones come at once.
    #[must_use]
    pub fn times(times: u32, every: Duration) -> Self {
        Self {
            every,
            times,
            state: Mutex::default(),
        }
    }

    /// `Some(n)` when a line is due, with the number suppressed since the last one; else `None`.
    pub fn due(&self) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let is_over = |since: Instant| now.duration_since(since) >= self.every;
        if state.since.is_none_or(is_over) {
            state.since = Some(now);
            state.lines = 0;
        }
        if state.lines == self.times {
            state.suppressed += 1;
            return None;
        }
        state.lines += 1;
        Some(std::mem::take(&mut state.suppressed))
    }
}
