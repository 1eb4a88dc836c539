//! Made-up messages, as fast as Redis takes them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use serde_json::json;

use crate::{
    message::{append_input, append_publish, make},
    pipeline::{DEPTH, Pipeline},
    tell,
};

/// Publishes messages.
pub(crate) fn publish(port: u16, count: u32) -> Result<()> {
    send(port, count, append_publish)
}

/// Adds messages to the stream of the workers.
pub(crate) fn feed(port: u16, count: u32) -> Result<()> {
    send(port, count, append_input)
}

/// Tells when the first went out, in milliseconds since 1970, and how long it took to send them all.
fn send(port: u16, count: u32, append: fn(&mut Vec<u8>, &[u8])) -> Result<()> {
    let mut pipeline = Pipeline::connect(port)?;
    let (mut body, mut bytes) = (Vec::new(), Vec::new());
    let started = SystemTime::now();
    let mut sent = 0;
    while sent < count {
        let batch = DEPTH.min(count - sent);
        bytes.clear();
        for number in sent + 1..=sent + batch {
            make(&mut body, number, count)?;
            append(&mut bytes, &body);
        }
        pipeline.send(&bytes, batch)?;
        sent += batch;
    }
    pipeline.finish()?;
    let started_ms = started.duration_since(UNIX_EPOCH)?.as_millis();
    let took: Duration = started.elapsed()?;
    tell(&json!({
        "started_ms": u64::try_from(started_ms)?,
        "seconds": took.as_secs_f64(),
    }));
    Ok(())
}
