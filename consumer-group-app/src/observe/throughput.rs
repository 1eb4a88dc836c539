//! Logs, every three seconds, how much this replica processed and how much failed.

use std::time::Duration;

use service_kit::supervisor::Role;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::queue::{Account, LocalQueue};

/// How often the line is logged.
const EVERY: Duration = Duration::from_secs(3);

/// The role that logs the throughput of what this replica delivers. All else about it is in the status.
#[derive(Debug)]
pub(crate) struct Throughput(pub(crate) LocalQueue);

/// What was so at one instant.
type Reading = (Instant, Account);

impl Throughput {
    fn read(&self) -> Reading {
        (Instant::now(), self.0.account())
    }
}

/// One line, short enough for a terminal of 100 columns.
fn log((then, before): Reading, (now, account): Reading) {
    let elapsed = now - then;
    let processed_per_second = rate(account.processed - before.processed, elapsed);
    let failed_per_second = rate(account.dead_lettered - before.dead_lettered, elapsed);
    let queued = account.queued;
    info!(
        processed_per_second,
        failed_per_second, queued, "throughput"
    );
}

/// Messages per second of real time, to one decimal.
fn rate(messages: u64, elapsed: Duration) -> f64 {
    let messages = u32::try_from(messages).unwrap_or(u32::MAX);
    (f64::from(messages) / elapsed.as_secs_f64() * 10.0).round() / 10.0
}

impl Role for Throughput {
    async fn run(&mut self, cancelled: CancellationToken) {
        let mut tick = interval(EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tick.tick().await;
        let mut before = self.read();
        loop {
            tokio::select! {
                () = cancelled.cancelled() => return,
                _ = tick.tick() => {}
            }
            let now = self.read();
            log(before, now);
            before = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_of_the_time_that_really_passed() {
        assert_eq!(
            rate(300, Duration::from_secs(3)).to_bits(),
            100.0_f64.to_bits()
        );
        assert_eq!(
            rate(100, Duration::from_secs(3)).to_bits(),
            33.3_f64.to_bits()
        );
        assert_eq!(rate(0, Duration::from_secs(3)).to_bits(), 0.0_f64.to_bits());
    }
}
