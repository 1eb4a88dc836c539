//! What the processes of a round take: memory at its peak, CPU time for their messages.

use std::time::Duration;

use anyhow::{Context, Result};
use local_stack::{
    PrivateRedis,
    redis::{self, InfoDict, aio::MultiplexedConnection},
    usage::{cpu_time, peak_memory_bytes},
};
use serde::Serialize;

use super::system::{Part, Process, System};

/// What `INFO cpu` calls the time of Redis's one thread for commands, since 7.0, and that of the whole process.
const MAIN_THREAD: [&str; 2] = ["used_cpu_user_main_thread", "used_cpu_sys_main_thread"];
const WHOLE_PROCESS: [&str; 2] = ["used_cpu_user", "used_cpu_sys"];

/// What one process took.
#[derive(Debug, Clone, Serialize)]
pub(super) struct ProcessUsage {
    pub name: String,
    pub part: Part,
    /// None where it has ended.
    pub peak_memory_bytes: Option<u64>,
    pub cpu_seconds_per_million: f64,
}

impl ProcessUsage {
    /// Of a process that has ended.
    pub(super) fn of_load(name: &str, cpu: Duration, messages: u32) -> Self {
        Self {
            name: name.to_owned(),
            part: Part::Load,
            peak_memory_bytes: None,
            cpu_seconds_per_million: per_million(cpu, messages),
        }
    }
}

/// What a round took.
#[derive(Debug, Clone)]
pub(super) struct Usage {
    pub(super) processes: Vec<ProcessUsage>,
    pub(super) redis_us_per_message: f64,
}

/// Watches the processes of a round.
#[derive(Debug)]
pub(super) struct Watch {
    /// With the CPU time each had used before.
    processes: Vec<(Process, Duration)>,
    redis: RedisWatch,
}

impl Watch {
    /// Notes what has been used before the first message.
    pub(super) async fn start(system: &System) -> Result<Self> {
        let with_cpu_time = |process: Process| {
            let before = cpu_time(process.pid)?;
            Ok((process, before))
        };
        let processes = system.processes()?.into_iter().map(with_cpu_time);
        Ok(Self {
            processes: processes.collect::<Result<_>>()?,
            redis: RedisWatch::start(&system.redis).await?,
        })
    }

    /// What each process has used for the messages, beside the load.
    pub(super) async fn finish(self, load: ProcessUsage, messages: u32) -> Result<Usage> {
        let redis_us_per_message = self.redis.finish(messages).await?;
        let usage = |(process, before): (Process, Duration)| {
            let used = cpu_time(process.pid)?.saturating_sub(before);
            Ok(ProcessUsage {
                peak_memory_bytes: Some(peak_memory_bytes(process.pid)?),
                cpu_seconds_per_million: per_million(used, messages),
                name: process.name,
                part: process.part,
            })
        };
        let others = self.processes.into_iter().map(usage);
        Ok(Usage {
            processes: std::iter::once(Ok(load))
                .chain(others)
                .collect::<Result<_>>()?,
            redis_us_per_message,
        })
    }
}

/// Watches the one thread of Redis that all commands share.
#[derive(Debug)]
pub(super) struct RedisWatch {
    connection: MultiplexedConnection,
    before: f64,
}

impl RedisWatch {
    pub(super) async fn start(redis: &PrivateRedis) -> Result<Self> {
        let mut connection = redis.connect().await?;
        let before = redis_seconds(&mut connection).await?;
        Ok(Self { connection, before })
    }

    /// The microseconds it has worked for each of so many messages.
    pub(super) async fn finish(mut self, messages: u32) -> Result<f64> {
        let used = redis_seconds(&mut self.connection).await? - self.before;
        Ok(used * 1e6 / f64::from(messages))
    }
}

/// How long Redis's main thread has worked; a Redis that doesn't tell tells it of all its threads.
async fn redis_seconds(connection: &mut MultiplexedConnection) -> Result<f64> {
    let mut info = redis::cmd("INFO");
    let info: InfoDict = info.arg("cpu").query_async(connection).await?;
    let sum = |[user, system]: [&str; 2]| Some(info.get::<f64>(user)? + info.get::<f64>(system)?);
    sum(MAIN_THREAD)
        .or_else(|| sum(WHOLE_PROCESS))
        .context("INFO cpu does not tell what Redis used")
}

fn per_million(time: Duration, messages: u32) -> f64 {
    time.as_secs_f64() * 1e6 / f64::from(messages)
}
