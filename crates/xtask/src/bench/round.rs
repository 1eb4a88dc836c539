//! One round: a fresh system, a number of messages, and what it took.

use std::{
    process::Stdio,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result};
use local_stack::{
    Binaries, PrivateRedis, Profile, RedisServer, Stack, StackOptions,
    redis::{AsyncCommands, streams::StreamRangeReply},
};
use protocol::keys::PROCESSED_STREAM;
use serde::Serialize;

use super::{
    ceiling,
    usage::{ProcessUsage, Watch},
};
use crate::{account::Account, publishing::Publishing};

/// Redis cuts off a subscriber that lags too far behind; a whole round must fit.
const REDIS_ARGS: [&str; 5] = [
    "--client-output-buffer-limit",
    "pubsub",
    "256mb",
    "64mb",
    "60",
];

/// So long a message may wait in the group, longer than any round.
const DEADLINE_SECONDS: &str = "600";

/// So much may wait in the group.
const BUFFERED_BYTES: &str = "1073741824";

/// Which way messages go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Way {
    /// Through the memory of the group, over HTTP.
    Memory,
    /// Through the durable queue, and from the group over HTTP.
    DurablePush,
    /// Through the durable queue, which the consumers read themselves.
    DurablePull,
}

impl Way {
    pub(super) const ALL: [Self; 3] = [Self::Memory, Self::DurablePush, Self::DurablePull];

    /// For people.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Memory => "--queue memory",
            Self::DurablePush => "--queue stream",
            Self::DurablePull => "--queue stream, --intake pull",
        }
    }

    fn queue(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::DurablePush | Self::DurablePull => "stream",
        }
    }

    fn consumer_args(self) -> &'static [&'static str] {
        match self {
            Self::Memory | Self::DurablePush => &[],
            Self::DurablePull => &["--intake", "pull"],
        }
    }
}

/// What a round does.
#[derive(Debug, Clone, Copy)]
pub(super) struct RoundOptions<'a> {
    pub server: &'a RedisServer,
    pub messages: u32,
    pub consumers: usize,
    pub way: Way,
}

/// What a round came to.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Round {
    pub way: Way,
    /// From the start of the publisher to the last entry of the stream.
    pub seconds: f64,
    pub messages_per_second: f64,
    /// Entries beyond the first of a message.
    pub duplicates: u64,
    /// Messages in neither stream.
    pub lost: u64,
    /// Messages in `messages:failed`.
    pub failed: u64,
    /// What `redis-benchmark` reaches in the same Redis with the same entry.
    pub xadd_per_second: f64,
    /// Our messages a second as a part of that.
    pub share_of_xadd: f64,
    pub processes: Vec<ProcessUsage>,
}

/// Runs a round with one message a request.
pub(super) async fn run(options: RoundOptions<'_>) -> Result<Round> {
    let stack = start(options, options.way.consumer_args()).await?;
    let mut watch = Watch::start(&stack, options.messages)?;
    let mut publishing = publish(&stack.redis, options.messages).await?;
    publishing
        .wait_until_settled(&stack.redis, |publisher| watch.sample(publisher))
        .await?;
    let processes = watch.finish()?;
    publishing.finish().await?;

    let mut connection = stack.redis.connect().await?;
    let account = Account::read(&mut connection).await?;
    let seconds = time_of_last_entry(&stack.redis, publishing.started).await?;
    let messages_per_second = f64::from(options.messages) / seconds.as_secs_f64();
    let xadd_per_second = ceiling::run(options.server, stack).await?;
    Ok(Round {
        way: options.way,
        seconds: seconds.as_secs_f64(),
        messages_per_second,
        duplicates: account.duplicates,
        lost: account.lost(options.messages.into()),
        failed: account.failed,
        xadd_per_second,
        share_of_xadd: messages_per_second / xadd_per_second,
        processes,
    })
}

/// Messages a second of a system whose consumers are told something.
pub(super) async fn throughput(options: RoundOptions<'_>, consumer_args: &[&str]) -> Result<f64> {
    let stack = start(options, consumer_args).await?;
    let mut publishing = publish(&stack.redis, options.messages).await?;
    publishing.wait_until_settled(&stack.redis, |_| {}).await?;
    publishing.finish().await?;
    let mut connection = stack.redis.connect().await?;
    let processed: u32 = connection.xlen(PROCESSED_STREAM).await?;
    let seconds = time_of_last_entry(&stack.redis, publishing.started).await?;
    stack.stop().await?;
    Ok(f64::from(processed) / seconds.as_secs_f64())
}

async fn start(options: RoundOptions<'_>, consumer_args: &[&str]) -> Result<Stack> {
    let server = options.server;
    let messages = options.messages.to_string();
    let queue = options.way.queue();
    let options = StackOptions {
        profile: Profile::Release,
        consumers: options.consumers,
        redis_args: &REDIS_ARGS,
        group_args: &[
            "--queue",
            queue,
            "--maxBufferedMessages",
            &messages,
            "--maxBufferedBytes",
            BUFFERED_BYTES,
            "--deliveryDeadlineSeconds",
            DEADLINE_SECONDS,
        ],
        consumer_args,
    };
    Stack::start_with(server, options).await
}

async fn publish(redis: &PrivateRedis, messages: u32) -> Result<Publishing> {
    let binaries = Binaries::build(Profile::Release).await?;
    Publishing::start(binaries, redis, messages.into(), Stdio::null)
}

/// How long after `started` the last entry was made: a stream id begins with the time in milliseconds.
async fn time_of_last_entry(redis: &PrivateRedis, started: SystemTime) -> Result<Duration> {
    let mut connection = redis.connect().await?;
    let last: StreamRangeReply = connection
        .xrevrange_count(PROCESSED_STREAM, "+", "-", 1)
        .await?;
    let id = &last.ids.first().context("nothing was processed")?.id;
    let millis = id.split('-').next().unwrap_or(id).parse()?;
    let started = started.duration_since(UNIX_EPOCH)?;
    Duration::from_millis(millis)
        .checked_sub(started)
        .context("the clock was set back")
}
