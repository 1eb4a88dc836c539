//! Arrivals at random, as independent publishers have them: each message by itself.

use std::{num::NonZeroU32, time::Duration};

use anyhow::{Result, ensure};
use clap::Args;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::json;

use super::{measure, micros};
use crate::tell;

#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Arrivals {
    /// How many messages a second, on average.
    #[arg(long)]
    rate: f64,

    /// How many messages.
    #[arg(long)]
    count: NonZeroU32,

    /// The same seed makes the same arrivals.
    #[arg(long)]
    seed: u64,
}

/// Tells for each message when it was due, and how long its entry took; in microseconds.
pub(crate) fn run(port: u16, arrivals: Arrivals) -> Result<()> {
    let schedule = arrivals.schedule()?;
    let times = measure(port, &schedule)?;
    let took: Vec<_> = times.took.iter().map(|time| time.map(us)).collect();
    tell(&json!({
        "due_us": schedule.iter().copied().map(us).collect::<Vec<_>>(),
        "took_us": took,
        "late_us_p99": micros(times.late.value_at_percentile(99.0)),
    }));
    Ok(())
}

fn us(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

impl Arrivals {
    /// When each is due: the gaps between them are exponentially distributed.
    fn schedule(self) -> Result<Vec<Duration>> {
        let mean = 1.0 / self.rate;
        ensure!(mean.is_finite() && mean > 0.0, "a rate is above 0");
        let mut random = StdRng::seed_from_u64(self.seed);
        let mut due = 0.0;
        let mut next = || {
            due -= mean * (1.0 - random.random::<f64>()).ln();
            Ok(Duration::try_from_secs_f64(due)?)
        };
        (0..self.count.get()).map(|_| next()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNT: u32 = 100_000;

    fn schedule(rate: f64, seed: u64) -> Vec<Duration> {
        let count = NonZeroU32::new(COUNT).unwrap();
        let arrivals = Arrivals { rate, count, seed };
        arrivals.schedule().unwrap()
    }

    #[test]
    fn gaps_are_exponential_about_the_mean() {
        let due = schedule(50.0, 1);
        assert!(due.is_sorted());
        let gaps = due.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64());
        let mean = due.last().unwrap().as_secs_f64() / f64::from(COUNT);
        assert!((mean - 0.02).abs() < 0.0005, "{mean}");
        // Of such gaps one in e is longer than the mean.
        let long = f64::from(u32::try_from(gaps.filter(|gap| *gap > 0.02).count()).unwrap());
        assert!((long / f64::from(COUNT) - 0.368).abs() < 0.01, "{long}");
    }

    #[test]
    fn the_seed_decides() {
        assert_eq!(schedule(10.0, 1), schedule(10.0, 1));
        assert_ne!(schedule(10.0, 1), schedule(10.0, 2));
    }
}
