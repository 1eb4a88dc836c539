//! Redis, the group and its consumers, started in order and ready for messages.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::{Binaries, PrivateRedis, Profile, RedisServer, Service, deadline::wait_until};

/// The channel, as the services have it by default.
const CHANNEL: &str = "messages:published";

/// The list of registered consumers, as the services have it by default.
const CONSUMER_LIST: &str = "consumer:ids";

/// The flag and the default of the largest group.
const MAX_SIZE_FLAG: &str = "--maxConsumerGroupSize";
const DEFAULT_MAX_SIZE: usize = 5;

/// The arguments of consumers that read the queue themselves, and register nowhere.
const PULLS: [&str; 2] = ["--intake", "pull"];

/// How long the stack may take until every consumer is registered.
const READY_DEADLINE: Duration = Duration::from_secs(20);

/// How long a service may take to end in order.
const STOP_DEADLINE: Duration = Duration::from_secs(40);

/// What to start.
#[derive(Debug, Clone, Copy)]
pub struct StackOptions<'a> {
    /// How the services are built.
    pub profile: Profile,
    /// How many consumers.
    pub consumers: usize,
    /// Further arguments of Redis.
    pub redis_args: &'a [&'a str],
    /// Further arguments of the group.
    pub group_args: &'a [&'a str],
    /// Further arguments of every one of these consumers.
    pub consumer_args: &'a [&'a str],
    /// Consumers beside these, each with the arguments it has.
    pub other_consumers: &'a [&'a [&'a str]],
}

impl Default for StackOptions<'_> {
    /// Two consumers, built with the dev profile, and nothing further.
    fn default() -> Self {
        Self {
            profile: Profile::Dev,
            consumers: 2,
            redis_args: &[],
            group_args: &[],
            consumer_args: &[],
            other_consumers: &[],
        }
    }
}

/// The running system. What is dropped is killed; [`Stack::stop`] ends it in order.
#[derive(Debug)]
pub struct Stack {
    /// The consumers, in the order they were started.
    pub consumers: Vec<Service>,
    /// The group.
    pub group: Service,
    /// Their Redis.
    pub redis: PrivateRedis,
}

impl Stack {
    /// Builds and starts everything on free ports, and waits until every consumer is registered and
    /// the group is subscribed.
    ///
    /// # Errors
    /// When anything cannot be built or started, or is not ready in time.
    pub async fn start(options: StackOptions<'_>) -> Result<Self> {
        Self::start_with(&RedisServer::find()?, options).await
    }

    /// The same with a certain Redis server program.
    ///
    /// # Errors
    /// As [`Stack::start`].
    pub async fn start_with(server: &RedisServer, options: StackOptions<'_>) -> Result<Self> {
        let binaries = Binaries::build(options.profile).await?;
        let redis = PrivateRedis::start_with(server, options.redis_args).await?;
        let consumers = options.consumers + options.other_consumers.len();
        let size = consumers.max(DEFAULT_MAX_SIZE).to_string();
        let mut args = options.group_args.to_vec();
        if !args.contains(&MAX_SIZE_FLAG) {
            args.extend([MAX_SIZE_FLAG, &size]);
        }
        let mut stack = Self {
            group: start_group(binaries, &redis, &args).await?,
            consumers: Vec::with_capacity(consumers),
            redis,
        };
        for _ in 0..options.consumers {
            stack.add_consumer(binaries, options.consumer_args).await?;
        }
        for args in options.other_consumers {
            stack.add_consumer(binaries, args).await?;
        }
        if options.consumer_args.windows(2).any(|args| args == PULLS) {
            for consumer in &stack.consumers {
                consumer.wait_for_log("pulling", READY_DEADLINE).await?;
            }
            stack.wait_until_ready(0).await?;
        } else {
            stack.wait_until_ready(consumers).await?;
        }
        Ok(stack)
    }

    /// Starts one more consumer; it listens, but may not be registered yet.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn add_consumer(&mut self, binaries: &Binaries, args: &[&str]) -> Result<()> {
        let consumer = start_consumer(binaries, &self.redis, &self.group, args).await?;
        self.consumers.push(consumer);
        Ok(())
    }

    /// Waits until the group's list holds so many consumers and the channel has a subscriber.
    ///
    /// # Errors
    /// When that does not come to be in time; the group's last log lines are in the error.
    pub async fn wait_until_ready(&self, consumers: usize) -> Result<()> {
        let connection = self.redis.connect().await?;
        let what = format!("{consumers} registered consumers and a subscribed group");
        wait_until(&what, READY_DEADLINE, async || {
            let mut connection = connection.clone();
            let (registered, (_, subscribers)): (usize, (String, u64)) = redis::pipe()
                .cmd("LLEN")
                .arg(CONSUMER_LIST)
                .cmd("PUBSUB")
                .arg("NUMSUB")
                .arg(CHANNEL)
                .query_async(&mut connection)
                .await?;
            Ok(registered == consumers && subscribers == 1)
        })
        .await
        .with_context(|| format!("the group's log ends:\n{}", self.group.log().tail()))
    }

    /// Ends everything in order: consumers, group, Redis.
    ///
    /// # Errors
    /// When a process has ended before, or does not end in time; it is killed then.
    pub async fn stop(mut self) -> Result<()> {
        for consumer in &mut self.consumers {
            consumer.terminate(STOP_DEADLINE).await?;
        }
        self.group.terminate(STOP_DEADLINE).await?;
        self.redis.stop().await
    }
}

/// Starts a group on a free port with this Redis.
///
/// # Errors
/// When it cannot be started.
pub async fn start_group(
    binaries: &Binaries,
    redis: &PrivateRedis,
    args: &[&str],
) -> Result<Service> {
    let redis_port = redis.port_text();
    let own = ["--restApiPort", "0", "--redisServerPort", &redis_port];
    Service::start(&binaries.group, &[&own, args].concat(), &[]).await
}

/// Starts a consumer on a free port with this Redis and this group.
///
/// # Errors
/// When it cannot be started.
pub async fn start_consumer(
    binaries: &Binaries,
    redis: &PrivateRedis,
    group: &Service,
    args: &[&str],
) -> Result<Service> {
    let redis_port = redis.port_text();
    let own = [
        "--restApiPort",
        "0",
        "--redisServerPort",
        &redis_port,
        "--consumerGroupAppHost",
        group.host(),
        "--consumerGroupAppPort",
        group.port_text(),
    ];
    Service::start(&binaries.consumer, &[&own, args].concat(), &[]).await
}
