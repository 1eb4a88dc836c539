//! Starting a Redis, a group and consumers of one's own.

use std::{
    net::TcpListener,
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

use anyhow::{Context, Result};
use local_stack::{Binaries, FaultProxy, PrivateRedis, Profile, Service, stack, wait_until};
use serde_json::{Value, json};

use crate::{Bus, status::wait_for_status};

/// How long a test waits for what must come: long, because the machine may be slow and busy.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Ports for services that must be found again at the same place: below those the system gives away.
const FIXED_PORTS: std::ops::Range<u16> = 20_000..32_000;

/// The programs under test.
///
/// # Errors
/// When they cannot be built.
pub async fn binaries() -> Result<&'static Binaries> {
    Binaries::build(Profile::Dev).await
}

/// An empty Redis.
///
/// # Errors
/// When it cannot be started.
pub async fn redis() -> Result<PrivateRedis> {
    PrivateRedis::start(&[]).await
}

/// A group that has subscribed, with this Redis and these further arguments.
///
/// # Errors
/// When it cannot be started.
pub async fn group(redis: &PrivateRedis, args: &[&str]) -> Result<Service> {
    let group = stack::start_group(binaries().await?, redis, args).await?;
    wait_until_subscribed(&group).await?;
    Ok(group)
}

/// A group at a port of the test's choice; it may not have subscribed yet.
///
/// # Errors
/// When it cannot be started.
pub async fn group_at(port: u16, redis: &PrivateRedis, args: &[&str]) -> Result<Service> {
    let (port, redis_port) = (port.to_string(), redis.port_text());
    let own = ["--restApiPort", &port, "--redisServerPort", &redis_port];
    Service::start(&binaries().await?.group, &[&own, args].concat(), &[]).await
}

/// A consumer of this group that has registered.
///
/// # Errors
/// When it cannot be started, or does not register in time.
pub async fn consumer(redis: &PrivateRedis, group: &Service, args: &[&str]) -> Result<Service> {
    let consumer = stack::start_consumer(binaries().await?, redis, group, args).await?;
    wait_until_joined(group, &id_of(&consumer)?).await?;
    Ok(consumer)
}

/// A consumer of this group that has registered, and the proxy through which the group reaches it.
///
/// # Errors
/// As [`consumer`].
pub async fn consumer_behind(
    redis: &PrivateRedis,
    group: &Service,
    args: &[&str],
) -> Result<(Service, FaultProxy)> {
    let port = fixed_port()?.to_string();
    let proxy = FaultProxy::start(&format!("127.0.0.1:{port}")).await?;
    let (advertised, redis_port) = (proxy.port().to_string(), redis.port_text());
    let own = [
        ["--restApiPort", &port],
        ["--advertisedHost", "127.0.0.1"],
        ["--advertisedPort", &advertised],
        ["--redisServerPort", &redis_port],
        ["--consumerGroupAppPort", group.port_text()],
    ];
    Ok((joined(group, &own.concat(), args).await?, proxy))
}

/// A consumer of this group that has registered, with the Redis at this port, such as a proxy's.
///
/// # Errors
/// As [`consumer`].
pub async fn consumer_at_redis(port: u16, group: &Service, args: &[&str]) -> Result<Service> {
    let port = port.to_string();
    let own = [
        ["--restApiPort", "0"],
        ["--redisServerPort", &port],
        ["--consumerGroupAppPort", group.port_text()],
    ];
    joined(group, &own.concat(), args).await
}

async fn joined(group: &Service, own: &[&str], args: &[&str]) -> Result<Service> {
    let program = &binaries().await?.consumer;
    let consumer = Service::start(program, &[own, args].concat(), &[]).await?;
    wait_until_joined(group, &id_of(&consumer)?).await?;
    Ok(consumer)
}

/// A consumer whose group may not be there.
///
/// # Errors
/// When it cannot be started.
pub async fn consumer_without_group(
    redis: &PrivateRedis,
    group_port: u16,
    args: &[&str],
) -> Result<Service> {
    let (group_port, redis_port) = (group_port.to_string(), redis.port_text());
    let own = [
        "--restApiPort",
        "0",
        "--redisServerPort",
        &redis_port,
        "--consumerGroupAppPort",
        &group_port,
    ];
    Service::start(&binaries().await?.consumer, &[&own, args].concat(), &[]).await
}

/// The id a consumer registers under.
///
/// # Errors
/// When the service is no consumer.
pub fn id_of(consumer: &Service) -> Result<String> {
    let id = consumer.consumer_id().context("it is no consumer")?;
    Ok(id.to_owned())
}

/// Waits until the group hears what is published.
///
/// # Errors
/// When it does not subscribe in time.
pub async fn wait_until_subscribed(group: &Service) -> Result<()> {
    group
        .wait_for_log(r#""message":"subscribed""#, PATIENCE)
        .await?;
    Ok(())
}

/// Waits until the group has taken note that a consumer is in the list.
///
/// # Errors
/// When it does not in time.
pub async fn wait_until_joined(group: &Service, consumer: &str) -> Result<()> {
    let line = format!(r#""message":"a consumer joined","consumer.id":"{consumer}""#);
    group.wait_for_log(&line, PATIENCE).await?;
    Ok(())
}

/// Waits until the consumers are in the list, or are in it again.
///
/// # Errors
/// When they are not in time.
pub async fn wait_for_members(bus: &Bus, expected: &[&str]) -> Result<()> {
    let what = format!("the list to hold {expected:?}");
    wait_until(&what, PATIENCE, async || {
        let mut members = bus.members().await.unwrap_or_default();
        members.sort_unstable();
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        Ok(members == expected)
    })
    .await
}

/// A free port that the system gives to nobody who asks for any.
///
/// # Errors
/// When all are taken.
pub fn fixed_port() -> Result<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Tests of several runs on one machine start at different places.
    let start = u16::try_from(std::process::id() % 12_000)?;
    for _ in FIXED_PORTS {
        let offset = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIXED_PORTS.start + start.wrapping_add(offset) % 12_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    anyhow::bail!("no port of {FIXED_PORTS:?} is free")
}

/// How a program ended that was meant to, and all it said.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; `None` after a signal.
    pub code: Option<i32>,
    /// Both outputs.
    pub output: String,
}

/// Runs a program to its end.
///
/// # Errors
/// When it cannot be started or does not end in time.
pub async fn run(program: &std::path::Path, args: &[&str], env: &[(&str, &str)]) -> Result<Ended> {
    let mut service = Service::spawn(program, args, env)?;
    let status = service.wait_exit(PATIENCE).await?;
    let output = service.logs().join("\n");
    Ok(Ended {
        code: status.code(),
        output,
    })
}

/// Runs `publisher deadLetters` to its end.
///
/// # Errors
/// When it cannot be started or does not end in time.
pub async fn dead_letters(redis: &PrivateRedis, args: &[&str]) -> Result<Ended> {
    let mut command = tokio::process::Command::new(&binaries().await?.publisher);
    command.args(["deadLetters", "--redisServerPort", &redis.port_text()]);
    let output = command.args(args).kill_on_drop(true).output();
    let output = tokio::time::timeout(PATIENCE, output).await??;
    let said = [output.stdout, output.stderr].concat();
    Ok(Ended {
        code: output.status.code(),
        output: String::from_utf8_lossy(&said).into_owned(),
    })
}

/// Waits until the group has taken note that a consumer is no longer in the list.
///
/// # Errors
/// When it does not in time.
pub async fn wait_until_left(group: &Service, consumer: &str) -> Result<()> {
    let line = format!(r#""message":"a consumer left","consumer.id":"{consumer}""#);
    group.wait_for_log(&line, PATIENCE).await?;
    Ok(())
}

/// The lines of a service's log as JSON; what is not JSON is left out.
#[must_use]
pub fn log_of(service: &Service) -> Vec<Value> {
    let lines = service.logs();
    let parsed = lines.iter().map(|line| serde_json::from_str(line));
    parsed.filter_map(Result::ok).collect()
}

/// Waits until the group has accounted for so many messages, all of them finished.
///
/// # Errors
/// When it does not in time, or the account does not add up.
pub async fn wait_for_account(group: &Service, processed: u64, failed: u64) -> Result<()> {
    let expected = json!({
        "processed": processed, "dead_lettered": failed, "in_flight": 0, "queued": 0, "buffered": 0,
    });
    wait_for_status(group, &expected).await
}
