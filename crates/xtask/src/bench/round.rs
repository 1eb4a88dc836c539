//! One round: a fresh system, a number of messages, and what it took.
//!
//! The time is taken from the moment before the first message goes out, which the load notes, to the last
//! entry, whose id begins with the time it was made. Both are told by the clock of this machine.

use std::time::Duration;

use anyhow::{Context, Result};
use local_stack::{
    PrivateRedis,
    redis::{AsyncCommands, streams::StreamRangeReply},
};
use protocol::keys::PROCESSED_STREAM;
use serde::{Deserialize, Serialize};

use super::{
    contestant::Contestant,
    helper::Helper,
    system::{Part, System, SystemOptions},
    usage::{ProcessUsage, Usage, Watch},
    xadd,
};
use crate::{account::Account, publishing::wait_until_settled};

/// How long the load may take.
const LOAD_DEADLINE: Duration = Duration::from_secs(300);

/// What a round came to.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Round {
    /// Rounds of the same number were run one after the other.
    pub number: u8,
    pub contestant: Contestant,
    pub messages_per_second: f64,
    /// The outcomes of the messages; `None` where they end in no entries.
    pub fate: Option<Fate>,
    pub processes: Vec<ProcessUsage>,
    /// CPU time of Redis's main thread.
    pub redis_us_per_message: f64,
}

impl Round {
    /// What these parts took together; `None` where there is none of them.
    pub(super) fn cpu_seconds_per_million(&self, parts: &[Part]) -> Option<f64> {
        let of_parts = self
            .processes
            .iter()
            .filter(|one| parts.contains(&one.part));
        let seconds = of_parts.map(|one| one.cpu_seconds_per_million);
        seconds.reduce(|sum, one| sum + one)
    }
}

/// The outcomes of the messages of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Fate {
    /// Entries beyond the first of a message.
    pub duplicates: u64,
    /// Messages in neither stream.
    pub lost: u64,
    /// Messages that are dead letters.
    pub failed: u64,
}

impl Fate {
    /// The outcomes of so many messages.
    pub(super) fn of(account: &Account, messages: u32) -> Self {
        Self {
            duplicates: account.duplicates,
            lost: account.lost(messages.into()),
            failed: account.failed,
        }
    }

    /// That of both together.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            duplicates: self.duplicates + other.duplicates,
            lost: self.lost + other.lost,
            failed: self.failed + other.failed,
        }
    }
}

/// Messages brought to entries.
#[derive(Debug, Clone)]
pub(super) struct Carried {
    /// From the first message to the last entry.
    pub seconds: f64,
    pub account: Account,
    pub usage: Usage,
}

impl Carried {
    /// The outcomes of so many messages.
    pub(super) fn fate(&self, messages: u32) -> Fate {
        Fate::of(&self.account, messages)
    }
}

/// Runs a round of a number.
pub(super) async fn run(number: u8, messages: u32, options: SystemOptions<'_>) -> Result<Round> {
    let contestant = options.contestant;
    let round = |messages_per_second, fate, usage: Usage| Round {
        number,
        contestant,
        messages_per_second,
        fate,
        processes: usage.processes,
        redis_us_per_message: usage.redis_us_per_message,
    };
    match contestant {
        Contestant::Xadd => {
            let (rate, usage) = xadd::run(options.server).await?;
            Ok(round(rate, None, usage))
        }
        Contestant::Ceiling => {
            let (rate, usage) = by_redis_alone("ceiling", messages, options).await?;
            Ok(round(rate, None, usage))
        }
        Contestant::Publish => {
            let (rate, usage) = by_redis_alone("deliver", messages, options).await?;
            Ok(round(rate, None, usage))
        }
        Contestant::PushSingle
        | Contestant::PushBatch
        | Contestant::PushByHand
        | Contestant::PushEntries
        | Contestant::Fetch
        | Contestant::Pull
        | Contestant::Bare
        | Contestant::StreamsWorker => {
            let carried = carry(messages, options).await?;
            let rate = f64::from(messages) / carried.seconds;
            let fate = carried.fate(messages);
            Ok(round(rate, Some(fate), carried.usage))
        }
    }
}

/// Starts a system, sends messages as fast as Redis takes them, and waits for the last entry.
pub(super) async fn carry(messages: u32, options: SystemOptions<'_>) -> Result<Carried> {
    #[derive(Deserialize)]
    struct Load {
        started_ms: u64,
    }
    let system = System::start(options).await?;
    let watch = Watch::start(&system).await?;
    let hears_the_channel = options.contestant != Contestant::StreamsWorker;
    let load = if hears_the_channel { "publish" } else { "feed" };
    let mut helper =
        Helper::start(&system.redis, &[load, "--count", &messages.to_string()]).await?;
    wait_until_settled(&system.redis, messages.into()).await?;
    let Load { started_ms } = helper.told(LOAD_DEADLINE).await?;
    let load_cpu = helper.finish(LOAD_DEADLINE).await?;
    let load = ProcessUsage::of_load(load, load_cpu, messages);
    let usage = watch.finish(load, messages).await?;
    let ended = time_of_last_entry(&system.redis).await?;
    let took = ended.checked_sub(Duration::from_millis(started_ms));
    let seconds = took.context("the clock was set back")?.as_secs_f64();
    let account = Account::read(&mut system.redis.connect().await?).await?;
    system.stop().await?;
    Ok(Carried {
        seconds,
        account,
        usage,
    })
}

/// Messages a second and what they cost, of a load with nothing between it and Redis.
async fn by_redis_alone(
    load: &str,
    messages: u32,
    options: SystemOptions<'_>,
) -> Result<(f64, Usage)> {
    #[derive(Deserialize)]
    struct Told {
        seconds: f64,
    }
    let system = System::start(options).await?;
    let watch = Watch::start(&system).await?;
    let count = messages.to_string();
    let mut helper = Helper::start(&system.redis, &[load, "--count", &count]).await?;
    let Told { seconds } = helper.told(LOAD_DEADLINE).await?;
    let cpu = helper.finish(LOAD_DEADLINE).await?;
    let load = ProcessUsage::of_load(load, cpu, messages);
    let usage = watch.finish(load, messages).await?;
    system.stop().await?;
    Ok((f64::from(messages) / seconds, usage))
}

/// When the last entry was made: a stream id begins with the time in milliseconds since 1970.
async fn time_of_last_entry(redis: &PrivateRedis) -> Result<Duration> {
    let mut connection = redis.connect().await?;
    let last: StreamRangeReply = connection
        .xrevrange_count(PROCESSED_STREAM, "+", "-", 1)
        .await?;
    let id = &last.ids.first().context("nothing was processed")?.id;
    let millis = id.split('-').next().unwrap_or(id).parse()?;
    Ok(Duration::from_millis(millis))
}
