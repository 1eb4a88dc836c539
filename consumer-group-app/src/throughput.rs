//! Logs, every three seconds, how much was processed and how much failed.

use std::time::Duration;

use service_kit::supervisor::Role;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::{
    consumer_group::ConsumerGroup,
    queue::{Account, MemoryQueue},
};

/// How often the line is logged.
const EVERY: Duration = Duration::from_secs(3);

/// The role that logs the throughput.
#[derive(Debug)]
pub(crate) struct Throughput {
    pub(crate) queue: MemoryQueue,
    pub(crate) group: ConsumerGroup,
}

impl Throughput {
    fn log(&self, before: Account, now: Account, elapsed: Duration) {
        let processed_per_second = rate(now.processed - before.processed, elapsed);
        let failed_per_second = rate(now.dead_lettered - before.dead_lettered, elapsed);
        info!(
            processed_per_second,
            failed_per_second,
            received = now.received,
            processed = now.processed,
            failed = now.dead_lettered,
            in_flight = now.in_flight,
            queued = now.queued,
            consumers = self.group.len(),
            "throughput: {processed_per_second} processed/s, {failed_per_second} failed/s"
        );
    }
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
        let (mut before, mut at) = (self.queue.account(), Instant::now());
        loop {
            tokio::select! {
                () = cancelled.cancelled() => return,
                _ = tick.tick() => {}
            }
            let now = self.queue.account();
            self.log(before, now, at.elapsed());
            (before, at) = (now, Instant::now());
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
