//! How long it takes from publishing a message until its entry can be read.
//!
//! One thread publishes on a schedule that does not depend on how anything goes, and notes the instant
//! just before it writes each `PUBLISH`. Another waits with `XREAD BLOCK` on the stream and takes the
//! difference when an entry has reached it. What stands between the two makes no difference to either:
//! services and bare path are measured by the same reading.

pub(crate) mod poisson;
pub(crate) mod steady;

use std::{
    io::Write,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow, bail, ensure};
use hdrhistogram::Histogram;
use protocol::keys::PROCESSED_STREAM;
use uuid::Uuid;

use crate::{
    message::{append_publish, make_with_id},
    resp::{self, Replies, command},
};

/// How long nothing may come before the rest counts as lost; as text, in milliseconds.
const PATIENCE_MS: &str = "5000";

/// What a schedule came to.
#[derive(Debug)]
struct Times {
    /// From publishing to the entry, for each message of the schedule; `None` where none came.
    took: Vec<Option<Duration>>,
    /// How late behind the schedule the messages were published, in nanoseconds.
    late: Histogram<u64>,
}

/// Publishes a message at each of these times after the start, and reads the entries.
fn measure(port: u16, schedule: &[Duration]) -> Result<Times> {
    let sent: Vec<AtomicU64> = schedule.iter().map(|_| AtomicU64::new(0)).collect();
    let clock = Instant::now();
    thread::scope(|scope| {
        let reading = scope.spawn(|| read(port, clock, &sent));
        let publishing = scope.spawn(|| publish(port, clock, schedule, &sent));
        let late = publishing.join().or(Err(anyhow!("publishing panicked")))?;
        let took = reading.join().or(Err(anyhow!("reading panicked")))?;
        Ok(Times {
            took: took?,
            late: late?,
        })
    })
}

/// Publishes every message when it is due; returns how late each went out, in nanoseconds.
fn publish(
    port: u16,
    clock: Instant,
    schedule: &[Duration],
    sent: &[AtomicU64],
) -> Result<Histogram<u64>> {
    let mut stream = resp::connect(port)?;
    // Nobody is here to read them.
    let (mut bytes, mut body) = (Vec::new(), Vec::new());
    command(&mut bytes, &[b"CLIENT", b"REPLY", b"OFF"]);
    stream.write_all(&bytes)?;
    let total = u32::try_from(schedule.len())?;
    let mut late = histogram()?;
    // Time for the reader to be there.
    let start = clock.elapsed() + Duration::from_millis(100);
    for ((number, &after), noted) in (0..total).zip(schedule).zip(sent) {
        make_with_id(&mut body, number.into(), number + 1, total)?;
        bytes.clear();
        append_publish(&mut bytes, &body);
        let due = start + after;
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

/// Reads entries until all are there or none comes any more; returns their times.
fn read(port: u16, clock: Instant, sent: &[AtomicU64]) -> Result<Vec<Option<Duration>>> {
    let mut stream = resp::connect(port)?;
    let mut replies = Replies::new(stream.try_clone()?);
    let mut took = vec![None; sent.len()];
    let (mut last, mut bytes, mut seen) = (b"0-0".to_vec(), Vec::new(), 0);
    while seen < sent.len() {
        bytes.clear();
        let (stream_key, patience) = (PROCESSED_STREAM.as_bytes(), PATIENCE_MS.as_bytes());
        let start: [&[u8]; 6] = [b"XREAD", b"COUNT", b"1000", b"BLOCK", patience, b"STREAMS"];
        command(&mut bytes, &[&start[..], &[stream_key, &last]].concat());
        stream.write_all(&bytes)?;
        let mut reply = replies.next()?;
        let now = clock.elapsed();
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
            let number = usize::try_from(Uuid::try_parse_ascii(id)?.as_u128())?;
            let (Some(noted), Some(took)) = (sent.get(number), took.get_mut(number)) else {
                bail!("an entry of a message that was not published");
            };
            if took.is_none() {
                let published = Duration::from_nanos(noted.load(Ordering::Acquire));
                *took = Some(now.saturating_sub(published));
                seen += 1;
            }
        }
    }
    Ok(took)
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
