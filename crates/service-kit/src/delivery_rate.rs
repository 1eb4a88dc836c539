//! How much work gets done in a time, found out from what went out and when it came back.

use std::time::Duration;

use tokio::time::Instant;

/// How much of what was measured before counts beside each new sample: half of it after three.
const KEPT: f64 = 0.8;

/// A measured rate.
///
/// After the delivery rate estimation of BBR (Cardwell et al., 2016; draft-cheng-iccrg-delivery-rate-estimation):
/// each piece of work that comes back is a sample, namely all that came back while it was out, by the time it was
/// out. So waiting for work does not count, and it does not matter how many pieces are out at once. The samples
/// are added up rather than averaged: a slow one counts for as long as it took.
#[derive(Debug, Default)]
pub struct DeliveryRate {
    delivered: u64,
    recently_delivered: f64,
    recent_seconds: f64,
}

/// A piece of work that is out.
#[derive(Debug, Clone, Copy)]
pub struct Departure {
    at: Instant,
    delivered: u64,
}

impl Departure {
    /// When it went out.
    #[must_use]
    pub fn at(&self) -> Instant {
        self.at
    }
}

impl DeliveryRate {
    /// Work goes out.
    #[must_use]
    pub fn depart(&self, now: Instant) -> Departure {
        Departure {
            at: now,
            delivered: self.delivered,
        }
    }

    /// Work is done, so much of it.
    pub fn arrive(&mut self, departure: &Departure, amount: usize, now: Instant) {
        self.delivered += u64::try_from(amount).unwrap_or(u64::MAX);
        let delivered = self.delivered - departure.delivered;
        let delivered = u32::try_from(delivered).map_or(f64::from(u32::MAX), f64::from);
        let seconds = now.duration_since(departure.at).as_secs_f64();
        self.recently_delivered = self.recently_delivered * KEPT + delivered;
        self.recent_seconds = self.recent_seconds * KEPT + seconds;
    }

    /// Forgets what was measured. What is out still counts when it comes back.
    pub fn forget(&mut self) {
        (self.recently_delivered, self.recent_seconds) = (0.0, 0.0);
    }

    /// How much gets done in a time, rounded down; nothing before anything was measured.
    #[must_use]
    pub fn in_time(&self, time: Duration) -> usize {
        if self.recent_seconds <= 0.0 {
            return 0;
        }
        whole(self.recently_delivered / self.recent_seconds * time.as_secs_f64())
    }
}

#[expect(
    clippy::as_conversions,
    reason = "there is no other way from a float; what is too large becomes the largest"
)]
fn whole(amount: f64) -> usize {
    amount as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// One piece after the other, with idle time in between.
    fn work(rate: &mut DeliveryRate, mut now: Instant, times: usize, took: Duration) -> Instant {
        for _ in 0..times {
            let departure = rate.depart(now);
            now += took;
            rate.arrive(&departure, 1, now);
            now += SECOND;
        }
        now
    }

    #[test]
    fn idle_time_does_not_count() {
        let mut rate = DeliveryRate::default();
        assert_eq!(rate.in_time(SECOND), 0);
        work(&mut rate, Instant::now(), 10, millis(99));
        assert_eq!(rate.in_time(SECOND), 10);
        assert_eq!(rate.in_time(millis(15)), 0);
    }

    #[test]
    fn what_is_out_at_once_adds_up() {
        let (mut rate, start) = (DeliveryRate::default(), Instant::now());
        // Eight at a time, each 100 ms, one every 12.5 ms.
        let at = |place: u32| start + millis(100) * place / 8;
        let mut out: Vec<_> = (0..8).map(|place| rate.depart(at(place))).collect();
        for place in 0..800_u32 {
            let now = at(place + 8);
            let departure = out.remove(0);
            rate.arrive(&departure, 1, now);
            out.push(rate.depart(now));
        }
        assert!((79..=81).contains(&rate.in_time(SECOND)), "{rate:?}");
    }

    #[test]
    fn a_slow_piece_counts_for_as_long_as_it_took() {
        let (mut rate, mut now) = (DeliveryRate::default(), Instant::now());
        for _ in 0..20 {
            now = work(&mut rate, now, 9, millis(1));
            now = work(&mut rate, now, 1, millis(200));
        }
        assert!(rate.in_time(SECOND) < 60, "{rate:?}");
    }

    #[test]
    fn what_is_out_when_all_is_forgotten_still_counts() {
        let mut rate = DeliveryRate::default();
        let now = work(&mut rate, Instant::now(), 10, millis(1));
        let departure = rate.depart(now);
        rate.forget();
        assert_eq!(rate.in_time(SECOND), 0);
        rate.arrive(&departure, 1, now + millis(100));
        assert_eq!(rate.in_time(SECOND), 10);
    }

    #[test]
    fn it_follows_a_change_within_a_few_pieces() {
        let mut rate = DeliveryRate::default();
        let now = work(&mut rate, Instant::now(), 100, millis(1));
        assert!(rate.in_time(SECOND) > 900);
        work(&mut rate, now, 1, millis(200));
        assert!(rate.in_time(SECOND) < 50, "{rate:?}");
    }
}
