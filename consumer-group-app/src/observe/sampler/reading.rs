//! The account at one instant, and what happened between two.

use std::time::Duration;

use redis_bus::chunk_queue::ChunkAccount;
use tokio::time::Instant;

use super::now_ms;
use crate::observe::history::Point;

/// The account at one instant.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    pub(super) at: Instant,
    /// Milliseconds since 1970.
    pub(super) at_ms: u64,
    pub(super) account: ChunkAccount,
    pub(super) buffered: u64,
}

impl Reading {
    /// What was just read.
    pub(super) fn new(account: ChunkAccount, buffered: u64) -> Self {
        Self {
            at: Instant::now(),
            at_ms: now_ms(),
            account,
            buffered,
        }
    }

    /// What happened since an earlier one.
    pub(super) fn since(&self, before: &Self) -> Point {
        let elapsed = self.at - before.at;
        let (then, account) = (&before.account, &self.account);
        let received = |reading: &Self| reading.account.received + reading.buffered;
        let failed = |account: &ChunkAccount| account.dead_lettered + account.replayed;
        Point {
            at_ms: self.at_ms,
            received: rate(received(before), received(self), elapsed),
            processed: rate(then.processed, account.processed, elapsed),
            failed: rate(failed(then), failed(account), elapsed),
            duplicate: rate(then.duplicate, account.duplicate, elapsed),
            queued: account.waiting + self.buffered,
            in_flight: account.in_flight,
        }
    }
}

/// How fast a counter went up, per second of real time, to one decimal; a counter may begin again.
pub(super) fn rate(before: u64, now: u64, elapsed: Duration) -> f64 {
    let count = u32::try_from(now.saturating_sub(before)).unwrap_or(u32::MAX);
    (f64::from(count) / elapsed.as_secs_f64().max(0.001) * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_tells_what_happened_between_two_readings() {
        let at = Instant::now();
        let reading = |seconds, received, processed, dead_lettered| Reading {
            at: at + Duration::from_secs(seconds),
            at_ms: seconds * 1000,
            account: ChunkAccount {
                received,
                processed,
                dead_lettered,
                waiting: 3,
                ..ChunkAccount::default()
            },
            buffered: 2,
        };
        let point = reading(2, 150, 81, 0).since(&reading(0, 100, 50, 1));
        let rates = [point.received, point.processed, point.failed];
        assert_eq!(rates.map(f64::to_bits), [25.0, 15.5, 0.0].map(f64::to_bits));
        assert_eq!((point.queued, point.at_ms), (5, 2000));
    }
}
