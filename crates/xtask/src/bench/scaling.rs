//! What more consumers bring when the work is the limit, and what more groups bring.

use std::ops::RangeInclusive;

use anyhow::Result;
use local_stack::RedisServer;
use serde::Serialize;

use super::{
    contestant::Contestant,
    round,
    spread::{Spread, whole},
    system::{LARGE_ROUND, SystemOptions},
};
use crate::output::{say, step, table};

/// How long the work on a message takes, and how many at once.
const WORK: [&str; 4] = ["--processingDelayMs", "10", "--processingConcurrency", "1"];

/// How many messages a consumer can do in a second.
const A_SECOND: u32 = 100;

/// How many consumers.
const CONSUMERS: [u16; 5] = [1, 2, 4, 8, 16];

/// The work on the messages of short bursts, how many of them each consumer gets, and how many consumers.
const BURST_WORK: [&str; 4] = ["--processingDelayMs", "20", "--processingConcurrency", "1"];
const BURST_EACH: u32 = 150;
const BURST_CONSUMERS: [u16; 3] = [1, 2, 4];

/// How many groups side by side.
const GROUPS: RangeInclusive<u16> = 1..=4;

/// A curve: how much so many of something carry.
#[derive(Debug, Serialize)]
pub(super) struct Curve {
    pub(super) what: &'static str,
    pub(super) points: Vec<Point>,
}

#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Point {
    pub(super) number: u16,
    pub(super) messages_per_second: Spread,
    /// As many times as much as one.
    pub(super) times_one: f64,
}

/// Consumers that take 10 ms for a message, one after the other, for about so many seconds.
pub(super) async fn consumers(server: &RedisServer, seconds: u32) -> Result<Curve> {
    step("10 ms of work a message, more and more consumers");
    let mut curve = Curve::of("consumers");
    for number in CONSUMERS {
        let options = SystemOptions {
            group_args: &LARGE_ROUND,
            consumer_args: &WORK,
            ..SystemOptions::of(server, Contestant::PushBatch, number.into())
        };
        let messages = A_SECOND * seconds * u32::from(number);
        curve.add(number, [rate(messages, options).await?]);
    }
    Ok(curve)
}

/// Consumers that take 20 ms for each of a few messages, which come all at once: what the last of them to end keeps
/// the others waiting for shows.
pub(super) async fn bursts(server: &RedisServer) -> Result<Curve> {
    step("20 ms of work a message, short bursts");
    let mut curve = Curve::of("consumers");
    for number in BURST_CONSUMERS {
        let options = SystemOptions {
            group_args: &LARGE_ROUND,
            consumer_args: &BURST_WORK,
            ..SystemOptions::of(server, Contestant::PushBatch, number.into())
        };
        let messages = BURST_EACH * u32::from(number);
        curve.add(number, [rate(messages, options).await?]);
    }
    Ok(curve)
}

/// Groups that share two consumers, in turns.
pub(super) async fn groups(
    server: &RedisServer,
    rounds: u8,
    messages: u32,
    consumers: usize,
) -> Result<Curve> {
    step("Groups side by side");
    let mut rates: Vec<Vec<f64>> = GROUPS.map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        for (number, rates) in GROUPS.zip(&mut rates) {
            let options = SystemOptions {
                groups: number.into(),
                group_args: &LARGE_ROUND,
                ..SystemOptions::of(server, Contestant::PushBatch, consumers)
            };
            rates.push(rate(messages, options).await?);
        }
    }
    let mut curve = Curve::of("groups");
    for (number, rates) in GROUPS.zip(rates) {
        curve.add(number, rates);
    }
    Ok(curve)
}

/// Messages processed a second.
async fn rate(messages: u32, options: SystemOptions<'_>) -> Result<f64> {
    let carried = round::carry(messages, options).await?;
    let processed = carried.account.processed - carried.account.duplicates;
    let rate = f64::from(u32::try_from(processed)?) / carried.seconds;
    let SystemOptions {
        consumers, groups, ..
    } = options;
    let what = format!("groups: {groups}, consumers: {consumers}");
    say(&format!("    {what:<24} {:>9}/s", whole(rate)));
    Ok(rate)
}

impl Curve {
    pub(super) fn of(what: &'static str) -> Self {
        let points = Vec::new();
        Self { what, points }
    }

    pub(super) fn add(&mut self, number: u16, rates: impl IntoIterator<Item = f64>) {
        let spread = Spread::of(rates);
        let first = self.points.first();
        let one = first.map_or(spread.median, |one| one.messages_per_second.median);
        self.points.push(Point {
            number,
            messages_per_second: spread,
            times_one: spread.median / one,
        });
    }

    pub(super) fn table(&self) -> String {
        let head = [self.what, "messages/s", "times one"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(self.points.iter().map(|point| {
            vec![
                point.number.to_string(),
                point.messages_per_second.to_string(),
                format!("{:.2}", point.times_one),
            ]
        }));
        table(&rows)
    }
}
