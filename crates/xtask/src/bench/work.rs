//! Consumers that take 10 ms for a message: what more of them bring when the work is the limit.

use anyhow::Result;
use local_stack::RedisServer;
use serde::Serialize;

use super::round::{RoundOptions, Way, throughput};
use crate::output::{say, step};

/// How long the work on a message takes, and how many at once.
const CONSUMER_ARGS: [&str; 4] = ["--processingDelayMs", "10", "--processingConcurrency", "1"];

/// How many messages a consumer gets: about 10 s of work.
const MESSAGES_A_CONSUMER: u32 = 1000;

/// How many consumers are set against one.
const MANY: u8 = 8;

/// Messages a second with 10 ms of work a message.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Work {
    pub one_consumer_per_second: f64,
    pub eight_consumers_per_second: f64,
    pub ratio: f64,
}

/// Measures one consumer, then many.
pub(super) async fn run(server: &RedisServer) -> Result<Work> {
    let one = measure(server, 1).await?;
    let many = measure(server, MANY).await?;
    Ok(Work {
        one_consumer_per_second: one,
        eight_consumers_per_second: many,
        ratio: many / one,
    })
}

async fn measure(server: &RedisServer, consumers: u8) -> Result<f64> {
    step(&format!("10 ms of work a message, consumers: {consumers}"));
    let options = RoundOptions {
        server,
        messages: MESSAGES_A_CONSUMER * u32::from(consumers),
        consumers: consumers.into(),
        way: Way::Memory,
    };
    let rate = throughput(options, &CONSUMER_ARGS).await?;
    say(&format!("    {rate:.0} messages/s"));
    Ok(rate)
}
