//! How long it takes from publishing a message until its entry can be read, at a steady pace.
//!
//! One thread publishes on a schedule that does not depend on how anything goes, and notes the instant
//! just before it writes each `PUBLISH`. Another waits with `XREAD BLOCK` on the stream and takes the
//! difference when an entry has reached it. What stands between the two makes no difference to either:
//! services and bare path are measured by the same reading.

use std::{
    io::Write,
    num::NonZeroU32,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, ensure};
use clap::Args;
use hdrhistogram::Histogram;
use protocol::keys::PROCESSED_STREAM;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    message::{append_publish, make_with_id},
    resp::{self, Replies, command},
    tell,
};

/// How long nothing may come before the rest counts as lost; as text, in milliseconds.
const PATIENCE_MS: &str = "5000";

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
    let sent: Vec<AtomicU64> = (0..total).map(|_| AtomicU64::new(0)).collect();
    let clock = Instant::now();
    let (times, late) = thread::scope(|scope| {
        let reading = scope.spawn(|| read(port, clock, &sent, warm_up));
        let publishing = scope.spawn(|| publish(port, clock, &sent, rate));
        let late = publishing.join().or(Err(anyhow!("publishing panicked")))?;
        let times = reading.join().or(Err(anyhow!("reading panicked")))?;
        Ok::<_, anyhow::Error>((times?, late?))
    })?;
    let measured = u64::from(total - warm_up);
    tell(&json!({
        "messages": measured,
        "missing": measured.saturating_sub(times.len()),
        "distribution": distribution(&times),
        "late_us_p99": micros(late.value_at_percentile(99.0)),
        "late_us_max": micros(late.max()),
    }));
    Ok(())
}

/// Publishes every message when it is due; returns how late each went out, in nanoseconds.
fn publish(port: u16, clock: Instant, sent: &[AtomicU64], rate: u32) -> Result<Histogram<u64>> {
    let mut stream = resp::connect(port)?;
    // Nobody is here to read them.
    let (mut bytes, mut body) = (Vec::new(), Vec::new());
    command(&mut bytes, &[b"CLIENT", b"REPLY", b"OFF"]);
    stream.write_all(&bytes)?;
    let total = u32::try_from(sent.len())?;
    let mut late = histogram()?;
    // Time for the reader to be there.
    let start = clock.elapsed() + Duration::from_millis(100);
    for (number, noted) in (0..total).zip(sent) {
        make_with_id(&mut body, number.into(), number + 1, total)?;
        bytes.clear();
        append_publish(&mut bytes, &body);
        let due = start + Duration::from_secs(1) * number / rate;
        sleep_until(clock, due);
        let now = clock.elapsed();
        noted.store(nanos(now)?, Ordering::Release);
        stream.write_all(&bytes)?;
        late.saturating_record(nanos(now.saturating_sub(due))?);
    }
    Ok(late)
}

#[expect(
    clippy::disallowed_methods,
    reason = "this thread is the probe's own and has nothing else to do"
)]
fn sleep_until(clock: Instant, due: Duration) {
    if let Some(left) = due.checked_sub(clock.elapsed()) {
        thread::sleep(left);
    }
}

/// Reads entries until all are there or none comes any more; returns their times in nanoseconds.
fn read(port: u16, clock: Instant, sent: &[AtomicU64], warm_up: u32) -> Result<Histogram<u64>> {
    let mut stream = resp::connect(port)?;
    let mut replies = Replies::new(stream.try_clone()?);
    let mut times = histogram()?;
    let (mut last, mut bytes, mut seen) = (b"0-0".to_vec(), Vec::new(), 0);
    while seen < sent.len() {
        bytes.clear();
        let (stream_key, patience) = (PROCESSED_STREAM.as_bytes(), PATIENCE_MS.as_bytes());
        let start: [&[u8]; 6] = [b"XREAD", b"COUNT", b"1000", b"BLOCK", patience, b"STREAMS"];
        command(&mut bytes, &[&start[..], &[stream_key, &last]].concat());
        stream.write_all(&bytes)?;
        let mut reply = replies.next()?;
        let now = nanos(clock.elapsed())?;
        if reply.array()? == 0 {
            break;
        }
        ensure!(reply.array()? == 2, "this is no stream");
        reply.text()?;
        for _ in 0..reply.array()? {
            ensure!(reply.array()? == 2, "this is no entry");
            last = reply.text()?.to_vec();
            let (fields, _, id) = (reply.array()?, reply.text()?, reply.text()?);
            for _ in 2..fields {
                reply.text()?;
            }
            let number = Uuid::try_parse_ascii(id)?.as_u128();
            let noted = sent.get(usize::try_from(number)?);
            let noted = noted.context("an entry of a message that was not published")?;
            if number >= warm_up.into() {
                times.saturating_record(now.saturating_sub(noted.load(Ordering::Acquire)));
            }
            seen += 1;
        }
    }
    Ok(times)
}

/// For times from a microsecond to a minute, in nanoseconds, with three digits.
fn histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1000, 60_000_000_000, 3)?)
}

fn nanos(time: Duration) -> Result<u64> {
    Ok(u64::try_from(time.as_nanos())?)
}

fn micros(nanos: u64) -> f64 {
    Duration::from_nanos(nanos).as_secs_f64() * 1e6
}

fn distribution(times: &Histogram<u64>) -> Vec<Value> {
    let point = |percent: f64| {
        let nanos = times.value_at_percentile(percent);
        json!({ "percent": percent, "us": micros(nanos) })
    };
    PERCENTILES.map(point).into()
}
