//! Everything that runs during a measurement: a Redis and whatever brings messages to entries.

use std::time::Duration;

use anyhow::{Context, Result};
use local_stack::{
    Binaries, PrivateRedis, Profile, RedisServer, Service, Stack, StackOptions, stack,
};
use serde::{Deserialize, Serialize};

use super::{
    contestant::{Contestant, Workers},
    helper::Helper,
};

/// Redis cuts off a subscriber that lags too far behind; a whole round must fit.
const REDIS_ARGS: [&str; 5] = [
    "--client-output-buffer-limit",
    "pubsub",
    "256mb",
    "64mb",
    "60",
];

/// Arguments of a group with which any number of messages may wait to be admitted.
pub(super) const LARGE_ROUND: [&str; 4] = [
    "--maxBufferedMessages",
    "100000000",
    "--maxBufferedBytes",
    "1073741824",
];

/// How many workers read the plain stream.
const STREAMS_WORKERS: [&str; 2] = ["worker-1", "worker-2"];

/// How long anything may take to be ready.
const READY_DEADLINE: Duration = Duration::from_secs(20);

/// What to start.
#[derive(Debug, Clone, Copy)]
pub(super) struct SystemOptions<'a> {
    pub server: &'a RedisServer,
    pub contestant: Contestant,
    /// How many consumers, where they are ours.
    pub consumers: usize,
    /// How many groups; more than one only where the workers are ours.
    pub groups: usize,
    pub group_args: &'a [&'a str],
    pub consumer_args: &'a [&'a str],
    /// One more consumer, with these arguments in place of those.
    pub other_consumer: Option<&'a [&'a str]>,
}

impl<'a> SystemOptions<'a> {
    /// One group with nothing set.
    pub(super) fn of(server: &'a RedisServer, contestant: Contestant, consumers: usize) -> Self {
        Self {
            server,
            contestant,
            consumers,
            groups: 1,
            group_args: &[],
            consumer_args: &[],
            other_consumer: None,
        }
    }
}

/// What a process is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Part {
    /// It sends the messages.
    Load,
    Redis,
    /// A group.
    Group,
    /// What makes entries, consumer or not.
    Consumer,
}

impl Part {
    pub(super) const ALL: [Self; 4] = [Self::Load, Self::Redis, Self::Group, Self::Consumer];
}

/// A process that runs.
#[derive(Debug, Clone)]
pub(super) struct Process {
    pub(super) name: String,
    pub(super) part: Part,
    pub(super) pid: u32,
}

/// The running system; [`System::stop`] ends it.
#[derive(Debug)]
pub(super) struct System {
    pub(super) redis: PrivateRedis,
    groups: Vec<Service>,
    consumers: Vec<Service>,
    helpers: Vec<Helper>,
}

impl System {
    /// Starts what a way needs, and waits until messages can be sent.
    pub(super) async fn start(options: SystemOptions<'_>) -> Result<Self> {
        match options.contestant.workers() {
            Some(Workers::Ours(args)) => return Self::start_services(options, args).await,
            Some(Workers::ByHand(name)) => return Self::start_by_hand(options, name).await,
            None => {}
        }
        let redis = PrivateRedis::start_with(options.server, &REDIS_ARGS).await?;
        let mut helpers = Vec::new();
        match options.contestant {
            Contestant::Bare => helpers.push(start_helper(&redis, &["bare"]).await?),
            Contestant::StreamsWorker => {
                for name in STREAMS_WORKERS {
                    helpers.push(start_helper(&redis, &["streams-worker", "--name", name]).await?);
                }
            }
            // They need nothing, or are services.
            Contestant::Ceiling
            | Contestant::Publish
            | Contestant::Xadd
            | Contestant::PushSingle
            | Contestant::PushBatch
            | Contestant::PushByHand
            | Contestant::PushEntries
            | Contestant::Fetch
            | Contestant::Pull => {}
        }
        Ok(Self {
            redis,
            groups: Vec::new(),
            consumers: Vec::new(),
            helpers,
        })
    }

    async fn start_services(options: SystemOptions<'_>, own_args: &[&str]) -> Result<Self> {
        let with_own = |args| [own_args, args].concat();
        let other = options.other_consumer.map(with_own);
        let other: Vec<_> = other.iter().map(Vec::as_slice).collect();
        let stack = StackOptions {
            profile: Profile::Release,
            consumers: options.consumers,
            redis_args: &REDIS_ARGS,
            group_args: options.group_args,
            consumer_args: &with_own(options.consumer_args),
            other_consumers: &other,
        };
        let Stack {
            consumers,
            group,
            redis,
        } = Stack::start_with(options.server, stack).await?;
        let mut groups = vec![group];
        for _ in 1..options.groups {
            let binaries = Binaries::build(Profile::Release).await?;
            groups.push(stack::start_group(binaries, &redis, options.group_args).await?);
        }
        for group in groups.iter().skip(1) {
            group
                .wait_for_log(r#""message":"subscribed""#, READY_DEADLINE)
                .await?;
            for consumer in &consumers {
                let id = consumer.consumer_id().context("a consumer has no id")?;
                let joined = format!(r#""message":"a consumer joined","consumer.id":"{id}""#);
                group.wait_for_log(&joined, READY_DEADLINE).await?;
            }
        }
        Ok(Self {
            redis,
            groups,
            consumers,
            helpers: Vec::new(),
        })
    }

    /// A group whose workers are not ours.
    async fn start_by_hand(options: SystemOptions<'_>, name: &str) -> Result<Self> {
        let all = std::iter::repeat_n(options.consumer_args, options.consumers);
        let all: Vec<_> = all.chain(options.other_consumer).collect();
        let size = all.len().to_string();
        let stack = StackOptions {
            profile: Profile::Release,
            consumers: 0,
            redis_args: &REDIS_ARGS,
            group_args: &[options.group_args, &["--maxConsumerGroupSize", &size]].concat(),
            ..StackOptions::default()
        };
        let Stack { group, redis, .. } = Stack::start_with(options.server, stack).await?;
        let mut helpers = Vec::new();
        for args in all {
            let own = [name, "--group-port", group.port_text()];
            helpers.push(start_helper(&redis, &[&own, args].concat()).await?);
        }
        Ok(Self {
            redis,
            groups: vec![group],
            consumers: Vec::new(),
            helpers,
        })
    }

    /// All processes but the one that sends the messages.
    pub(super) fn processes(&self) -> Result<Vec<Process>> {
        let process = |name: &str, part, pid| Process {
            name: name.to_owned(),
            part,
            pid,
        };
        let redis = self.redis.pid().context("Redis has ended")?;
        let mut processes = vec![process("redis-server", Part::Redis, redis)];
        for (services, name, part) in [
            (&self.groups, "consumer-group-app", Part::Group),
            (&self.consumers, "consumer-app", Part::Consumer),
        ] {
            let of = |service: &Service| process(name, part, service.pid());
            processes.extend(services.iter().map(of));
        }
        let of = |helper: &Helper| process("worker", Part::Consumer, helper.pid());
        processes.extend(self.helpers.iter().map(of));
        Ok(processes)
    }

    /// Ends everything at once: what it held is of no more use.
    pub(super) async fn stop(mut self) -> Result<()> {
        for service in self.consumers.iter_mut().chain(&mut self.groups) {
            service.kill().await?;
        }
        for helper in &mut self.helpers {
            helper.kill().await?;
        }
        self.redis.kill().await
    }
}

/// Starts one that says when it is ready.
async fn start_helper(redis: &PrivateRedis, args: &[&str]) -> Result<Helper> {
    #[derive(Deserialize)]
    struct Ready {
        ready: bool,
    }
    let mut helper = Helper::start(redis, args).await?;
    let Ready { ready } = helper.told(READY_DEADLINE).await?;
    anyhow::ensure!(ready, "a contestant is not ready");
    Ok(helper)
}
