//! A steady pace: the distribution of very many short times.

use std::{num::NonZeroU32, time::Duration};

use anyhow::Result;
use clap::Args;
use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::{histogram, measure, micros, nanos};
use crate::tell;

/// What is told of the distribution, in percent.
const PERCENTILES: [f64; 17] = [
    0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 95.0, 99.0, 99.5, 99.9, 99.95,
    99.99, 100.0,
];

#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Pace {
    /// How many messages a second.
    #[arg(long)]
    rate: NonZeroU32,

    /// For how many seconds it is measured.
    #[arg(long)]
    seconds: NonZeroU32,

    /// For how many seconds before that it is not.
    #[arg(long, default_value_t = 1)]
    warm_up_seconds: u32,
}

/// Tells the distribution of the times, in microseconds, and how many entries did not come.
pub(crate) fn run(port: u16, pace: Pace) -> Result<()> {
    let rate = pace.rate.get();
    let warm_up = rate * pace.warm_up_seconds;
    let total = warm_up + rate * pace.seconds.get();
    let due = |number| Duration::from_secs(1) * number / rate;
    let schedule: Vec<_> = (0..total).map(due).collect();
    let times = measure(port, &schedule)?;
    let mut took = histogram()?;
    for time in times.took.iter().skip(usize::try_from(warm_up)?).flatten() {
        took.saturating_record(nanos(*time)?);
    }
    let measured = u64::from(total - warm_up);
    tell(&json!({
        "messages": measured,
        "missing": measured.saturating_sub(took.len()),
        "distribution": distribution(&took),
        "late_us_p99": micros(times.late.value_at_percentile(99.0)),
        "late_us_max": micros(times.late.max()),
    }));
    Ok(())
}

fn distribution(times: &Histogram<u64>) -> Vec<Value> {
    let point = |percent: f64| {
        let nanos = times.value_at_percentile(percent);
        json!({ "percent": percent, "us": micros(nanos) })
    };
    PERCENTILES.map(point).into()
}
