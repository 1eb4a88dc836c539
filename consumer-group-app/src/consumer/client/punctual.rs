//! Whether this process was scheduled while it waited.
//!
//! After a time without a processor, or a stop, timers and answers are due together, and clients look at
//! their timer first: the time-out is then this process's own.

use std::{pin::pin, time::Duration};

use tokio::time::{Instant, timeout_at};

/// How often it is looked at the clock.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A look that is late by more shows that the process was held up.
const LATE: Duration = Duration::from_millis(400);

/// Does the work; also tells for how long the process was held up meanwhile, if it was.
pub(super) async fn punctual<T>(work: impl Future<Output = T>) -> (T, Option<Duration>) {
    let mut work = pin!(work);
    let mut latest = Duration::ZERO;
    loop {
        let due = Instant::now() + LOOK_EVERY;
        let done = timeout_at(due, &mut work).await;
        latest = latest.max(due.elapsed());
        if let Ok(done) = done {
            return (done, (latest > LATE).then_some(latest));
        }
    }
}
