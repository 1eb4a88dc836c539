//! The system that is to come through it: every process behind networks of its own.

mod parts;
mod wellness;

use std::{net::TcpListener, time::Duration};

use anyhow::{Context, Result, bail};
use local_stack::{
    Binaries, Fault, FaultProxy, PrivateRedis, Profile, RedisServer, Signal,
    redis::{AsyncConnectionConfig, Client, aio::MultiplexedConnection},
};
use rand::RngExt;

pub(super) use self::{parts::Part, wellness::subscribers};
use super::mishap::{Process, REPLICAS};

/// How Redis is run: what it has acknowledged outlives it, and a subscriber may fall behind.
const REDIS_ARGS: [&str; 9] = [
    "--appendonly",
    "yes",
    "--appendfsync",
    "everysec",
    "--client-output-buffer-limit",
    "pubsub",
    "256mb",
    "64mb",
    "60",
];

/// Ports for what must come back where it was: below those that systems give to connections.
const PORTS: std::ops::Range<u16> = 20_000..30_000;

/// How long connecting to Redis may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a command may take: longer than Redis is ever frozen.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(60);

/// Everything that runs.
#[derive(Debug)]
pub(super) struct System {
    /// In the order of [`Process::ALL`].
    pub(super) parts: Vec<Part>,
    /// From each process to Redis, in the same order.
    pub(super) to_redis: Vec<FaultProxy>,
    /// From the group to each consumer that messages are pushed to.
    pub(super) to_consumer: Vec<FaultProxy>,
    pub(super) redis: PrivateRedis,
}

impl System {
    /// Builds and starts everything.
    pub(super) async fn start(server: &RedisServer) -> Result<Self> {
        let binaries = Binaries::build(Profile::Dev).await?;
        let redis = PrivateRedis::start_with(server, &REDIS_ARGS).await?;
        let redis_address = format!("127.0.0.1:{}", redis.port());
        let ports = unused_ports(Process::ALL.len())?;
        let mut to_redis = Vec::new();
        let mut to_consumer = Vec::new();
        for process in Process::ALL {
            to_redis.push(FaultProxy::start(&redis_address).await?);
            if matches!(process, Process::Pushed(_)) {
                let address = format!("127.0.0.1:{}", ports[process.place()]);
                to_consumer.push(FaultProxy::start(&address).await?);
            }
        }
        let mut system = Self {
            parts: Vec::new(),
            to_redis,
            to_consumer,
            redis,
        };
        for process in Process::ALL {
            let part = Part::start(process, binaries, system.args(process, &ports)).await?;
            system.parts.push(part);
        }
        Ok(system)
    }

    /// What a process is told.
    fn args(&self, process: Process, ports: &[u16]) -> Vec<String> {
        let port = ports[process.place()];
        let redis = self.to_redis[process.place()].port();
        let common = format!("--restApiPort {port} --redisServerPort {redis}");
        let retention = "--dedupWindowSeconds 86400";
        let own = match process {
            Process::Replica(_) => "--maxConsumerGroupSize 10 \
                --healthCheckIntervalSeconds 2 --attemptTimeoutMs 2000"
                .to_owned(),
            Process::Pushed(number) => format!(
                "--advertisedHost 127.0.0.1 --advertisedPort {} --consumerGroupAppPort {} \
                 --registrationCheckIntervalSeconds 2",
                self.to_consumer[number].port(),
                ports[Process::Replica(number % REPLICAS).place()],
            ),
            Process::Puller => "--intake pull".to_owned(),
        };
        let words = [common.as_str(), retention, own.as_str()];
        let words = words.iter().flat_map(|part| part.split_whitespace());
        words.map(str::to_owned).collect()
    }

    pub(super) fn part(&mut self, process: Process) -> &mut Part {
        &mut self.parts[process.place()]
    }

    /// The base URLs of the replicas.
    pub(super) fn replicas(&self) -> [String; REPLICAS] {
        std::array::from_fn(|number| {
            let part = &self.parts[Process::Replica(number).place()];
            part.service.url("")
        })
    }

    /// The ids that should be in the list, sorted.
    fn members(&self) -> Vec<String> {
        let mut members: Vec<_> = self.to_consumer.iter().map(FaultProxy::address).collect();
        members.sort();
        members
    }

    /// A connection of our own, past all proxies, that waits for as long as Redis is ever frozen.
    pub(super) async fn connect(&self) -> Result<MultiplexedConnection> {
        connect(self.redis.port()).await
    }

    /// Ends what may be left of a mishap.
    pub(super) fn heal(&self) {
        for proxy in self.to_redis.iter().chain(&self.to_consumer) {
            proxy.set(Fault::Pass);
        }
        // Where one of them has ended there is nothing to wake.
        drop(self.redis.thaw());
        for part in &self.parts {
            drop(part.service.signal(Signal::SIGCONT));
        }
    }
}

/// Connects to the Redis at a port of this machine.
pub(super) async fn connect(port: u16) -> Result<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(RESPONSE_TIMEOUT));
    let client = Client::open(("127.0.0.1", port))?;
    client
        .get_multiplexed_async_connection_with_config(&config)
        .await
        .context("cannot connect to Redis")
}

/// So many ports that nobody uses now.
fn unused_ports(count: usize) -> Result<Vec<u16>> {
    let mut rng = rand::rng();
    let mut held = Vec::new();
    for _ in 0..1_000 {
        if held.len() == count {
            return held
                .iter()
                .map(|listener: &TcpListener| Ok(listener.local_addr()?.port()))
                .collect();
        }
        let port = rng.random_range(PORTS);
        held.extend(TcpListener::bind(("127.0.0.1", port)));
    }
    bail!("there are no {count} unused ports among {PORTS:?}")
}
