//! Keeps a log line that could repeat thousands of times a second to one in a while.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Says whether it is time to log again, and how many times it was not.
///
/// ```
/// # use std::time::Duration;
/// # use service_kit::occasionally::Occasionally;
/// let failures = Occasionally::every(Duration::from_secs(10));
/// assert_eq!(failures.due(), Some(0));
/// assert_eq!(failures.due(), None);
/// ```
#[derive(Debug)]
pub struct Occasionally {
    every: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    held_back: u64,
}

impl Occasionally {
    /// One line in `every`; the first comes at once.
    #[must_use]
    pub fn every(every: Duration) -> Self {
        Self {
            every,
            state: Mutex::default(),
        }
    }

    /// `Some(n)` when a line is due, with the number held back since the last one; else `None`.
    pub fn due(&self) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if state
            .last
            .is_some_and(|last| now.duration_since(last) < self.every)
        {
            state.held_back += 1;
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.held_back))
    }
}
