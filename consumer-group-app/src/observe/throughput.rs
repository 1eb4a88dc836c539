//! Logs, every three seconds, how much was processed and how much failed.
//!
//! The numbers are this replica's own, and beside them stands the rate of the whole
//! group: how fast the stream of processed messages grows.

use std::time::Duration;

use redis_bus::commit::ProcessedStream;
use service_kit::supervisor::Role;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::{
    consumer::registry::ConsumerGroup,
    queue::{Account, LocalQueue},
};

/// How often the line is logged.
const EVERY: Duration = Duration::from_secs(3);

/// The role that logs the throughput.
#[derive(Debug)]
pub(crate) struct Throughput {
    /// What is delivered by this replica.
    pub(crate) queue: LocalQueue,
    pub(crate) group: ConsumerGroup,
    pub(crate) processed: ProcessedStream,
}

/// What is known at one instant.
#[derive(Debug, Clone, Copy)]
struct Reading {
    at: Instant,
    account: Account,
    /// Entries ever added to the stream of processed messages, if Redis could tell.
    group_processed: Option<u64>,
}

impl Throughput {
    async fn read(&self) -> Reading {
        let mut account = self.queue.account();
        // What went on to another replica is in its account.
        account.received -= account.released;
        let group_processed = self.processed.entries_added().await.ok();
        Reading {
            at: Instant::now(),
            account,
            group_processed,
        }
    }

    fn log(&self, before: &Reading, now: &Reading) {
        let elapsed = now.at - before.at;
        let (then, account) = (before.account, now.account);
        let processed_per_second = rate(account.processed - then.processed, elapsed);
        let failed_per_second = rate(account.dead_lettered - then.dead_lettered, elapsed);
        let group_processed_per_second = match (before.group_processed, now.group_processed) {
            (Some(then), Some(now)) => Some(rate(now.saturating_sub(then), elapsed)),
            _ => None,
        };
        let Account {
            received,
            processed,
            duplicate,
            dead_lettered: failed,
            in_flight,
            queued,
            released: _,
        } = account;
        let consumers = self.group.len();
        info!(
            processed_per_second,
            failed_per_second,
            group_processed_per_second,
            received,
            processed,
            duplicate,
            failed,
            in_flight,
            queued,
            consumers,
            "throughput"
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
        let mut before = self.read().await;
        loop {
            tokio::select! {
                () = cancelled.cancelled() => return,
                _ = tick.tick() => {}
            }
            let now = self.read().await;
            self.log(&before, &now);
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
