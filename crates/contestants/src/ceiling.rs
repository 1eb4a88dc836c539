//! What Redis can carry: messages delivered to a subscriber and entries added, both at once.
//!
//! The commands are encoded beforehand and sent again and again, and the subscriber only counts bytes,
//! so that as little as can be is spent outside Redis.

use std::{thread, time::Instant};

use anyhow::{Context, Result, anyhow};
use protocol::keys::PUBLISHED_CHANNEL;
use serde_json::json;

use crate::{
    message::{append_entry, append_publish, make},
    pipeline::{DEPTH, Pipeline},
    resp::{command, subscribe},
    tell,
};

/// How the entries say who made them.
const CONSUMER_ID: &str = "127.0.0.1:5001";

/// Tells how long it took until all messages were delivered and all entries added.
pub(crate) fn run(port: u16, count: u32) -> Result<()> {
    carry(port, count, count)
}

/// The same with messages alone.
pub(crate) fn deliver(port: u16, count: u32) -> Result<()> {
    carry(port, count, 0)
}

fn carry(port: u16, count: u32, number_of_entries: u32) -> Result<()> {
    let (mut publishes, mut deliveries, mut entries) = Default::default();
    let mut body = Vec::new();
    for place in 0..DEPTH {
        // The last numbers: they have as many digits as most.
        make(&mut body, count.saturating_sub(place), count)?;
        Repeated::add(&mut publishes, |out| append_publish(out, &body));
        Repeated::add(&mut deliveries, |out| append_delivery(out, &body));
        let mut entry = Vec::new();
        append_entry(&mut entry, &body, CONSUMER_ID)?;
        Repeated::add(&mut entries, |out| out.extend_from_slice(&entry));
    }
    let mut messages = subscribe(port, PUBLISHED_CHANNEL)?;
    let delivered = deliveries.bytes_of(count)?;
    let started = Instant::now();
    thread::scope(|scope| {
        let parts = [
            scope.spawn(|| messages.discard(delivered)),
            scope.spawn(|| publishes.send(port, count)),
            scope.spawn(|| entries.send(port, number_of_entries)),
        ];
        for part in parts {
            part.join().or(Err(anyhow!("a thread panicked")))??;
        }
        Ok::<_, anyhow::Error>(())
    })?;
    tell(&json!({ "seconds": started.elapsed().as_secs_f64() }));
    Ok(())
}

/// Appends what the subscriber is sent for a body.
fn append_delivery(out: &mut Vec<u8>, body: &[u8]) {
    command(out, &[b"message", PUBLISHED_CHANNEL.as_bytes(), body]);
}

/// Up to [`DEPTH`] commands that are sent again and again.
#[derive(Debug, Default)]
struct Repeated {
    bytes: Vec<u8>,
    /// Where each command ends.
    ends: Vec<usize>,
}

impl Repeated {
    fn add(&mut self, append: impl FnOnce(&mut Vec<u8>)) {
        append(&mut self.bytes);
        self.ends.push(self.bytes.len());
    }

    /// The first so many commands.
    fn first(&self, commands: u32) -> Result<&[u8]> {
        let place = usize::try_from(commands)?.checked_sub(1);
        let end = place.and_then(|place| self.ends.get(place));
        Ok(&self.bytes[..*end.context("there are not so many commands")?])
    }

    /// How long `count` commands are in all.
    fn bytes_of(&self, count: u32) -> Result<usize> {
        let whole = usize::try_from(count / DEPTH)? * self.bytes.len();
        Ok(match count % DEPTH {
            0 => whole,
            rest => whole + self.first(rest)?.len(),
        })
    }

    fn send(&self, port: u16, count: u32) -> Result<()> {
        let mut pipeline = Pipeline::connect(port)?;
        let mut sent = 0;
        while sent < count {
            let batch = DEPTH.min(count - sent);
            pipeline.send(self.first(batch)?, batch)?;
            sent += batch;
        }
        pipeline.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_counted_to_the_last_command() {
        let mut repeated = Repeated::default();
        for place in 0..DEPTH {
            let len = if place == 0 { 3 } else { 1 };
            repeated.add(|out| out.resize(out.len() + len, 0));
        }
        let of = |count| repeated.bytes_of(count).unwrap();
        let all = usize::try_from(DEPTH).unwrap() + 2;
        assert_eq!([of(1), of(2), of(DEPTH)], [3, 4, all]);
        assert_eq!(of(2 * DEPTH + 1), 2 * all + 3);
    }
}
