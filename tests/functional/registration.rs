//! How a consumer becomes a member of the group, stays one, and leaves.

use std::io::{Write, stderr};

use anyhow::Result;
use harness::{
    Bus, FakeConsumer, PATIENCE, PrivateRedis, Reply, Service, calls,
    services::{
        self, binaries, consumer_without_group, fixed_port, group, group_at, id_of, redis,
        wait_for_members, wait_until_joined,
    },
};
use local_stack::PrivateNetwork;

#[tokio::test]
async fn a_consumer_registers_at_start_and_unregisters_at_sigterm() -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    let mut consumer = services::consumer(&redis, &group, &[]).await?;
    assert_eq!(bus.members().await?, [id_of(&consumer)?]);
    assert_eq!(id_of(&consumer)?, consumer.address());
    let status = consumer.terminate(PATIENCE).await?;
    assert_eq!(status.code(), Some(0));
    assert!(bus.members().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_consumer_removed_from_the_list_registers_again() -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    let args = ["--registrationCheckIntervalSeconds", "1"];
    let consumer = services::consumer(&redis, &group, &args).await?;
    let id = id_of(&consumer)?;
    let removed: u64 = bus.command(&["LREM", "consumer:ids", "0", &id]).await?;
    assert_eq!(removed, 1);
    wait_for_members(&bus, &[&id]).await
}

#[tokio::test]
async fn a_consumer_started_before_its_group_registers_without_a_restart() -> Result<()> {
    let redis = redis().await?;
    let (bus, port) = (Bus::of(&redis), fixed_port()?);
    let consumer = consumer_without_group(&redis, port, &[]).await?;
    consumer
        .wait_for_log("not registered with the group", PATIENCE)
        .await?;
    let health = calls::get(&consumer, "/health").await?;
    assert_eq!(health.status, 200, "it answers before it is registered");
    let group = group_at(port, &redis, &[]).await?;
    wait_until_joined(&group, &id_of(&consumer)?).await?;
    bus.publish_id("m").await?;
    bus.wait_for_processed(1).await?;
    Ok(())
}

#[tokio::test]
async fn a_consumer_a_full_group_refused_gets_in_when_there_is_room() -> Result<()> {
    let redis = redis().await?;
    let group = group(&redis, &["--maxConsumerGroupSize", "1"]).await?;
    let mut first = services::consumer(&redis, &group, &[]).await?;
    let port = group.port_text().parse()?;
    let second = consumer_without_group(&redis, port, &[]).await?;
    let line = second
        .wait_for_log("not registered with the group", PATIENCE)
        .await?;
    assert!(line.contains("Failed to register consumer!"), "{line}");
    assert!(line.contains("the group is full"), "{line}");
    first.terminate(PATIENCE).await?;
    wait_for_members(&Bus::of(&redis), &[&id_of(&second)?]).await
}

#[tokio::test]
async fn a_consumer_registers_as_what_it_is_told_to_advertise() -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    let elsewhere = FakeConsumer::start(Reply::status(200)).await?;
    let id = elsewhere.id().replace("127.0.0.1", "LocalHost");
    let port = id.replace("LocalHost:", "");
    let args = ["--advertisedHost", "LocalHost", "--advertisedPort", &port];
    let _consumer = services::consumer(&redis, &group, &args).await?;
    assert_eq!(bus.members().await?, [id]);
    Ok(())
}

#[tokio::test]
async fn beside_its_group_one_that_listens_on_all_addresses_registers_under_the_machines_name()
-> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    let args = ["--restApiHost", "0.0.0.0"];
    let consumer = services::consumer(&redis, &group, &args).await?;
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname")?;
    let id = format!("{}:{}", name.trim(), consumer.port_text());
    assert_eq!(bus.members().await?, [id]);
    Ok(())
}

/// As in a container or a pod: an address of its own, and a name that nobody else knows.
#[tokio::test]
async fn one_that_listens_on_all_addresses_registers_with_the_one_it_calls_the_group_from()
-> Result<()> {
    if let Some(why) = PrivateNetwork::why_not() {
        // Past the capture of the test's output: who reads it must see what was not tested.
        return Ok(writeln!(
            stderr(),
            "SKIPPED: no network to register from: {why}"
        )?);
    }
    let network = PrivateNetwork::create()?;
    let outside = network.outside().to_string();
    let listen = ["--bind", "127.0.0.1", &outside, "--protected-mode", "no"];
    let redis = PrivateRedis::start(&listen).await?;
    let group = group(&redis, &["--restApiHost", &outside]).await?;
    let (bus, redis_port) = (Bus::of(&redis), redis.port_text());
    let args = [
        ["--restApiHost", "0.0.0.0"],
        ["--restApiPort", "0"],
        ["--redisServerHost", &outside],
        ["--redisServerPort", &redis_port],
        ["--consumerGroupAppHost", &outside],
        ["--consumerGroupAppPort", group.port_text()],
    ];
    let consumer = Service::start_in(&network, &binaries().await?.consumer, &args.concat()).await?;
    let id = format!("{}:{}", network.inside(), consumer.port_text());
    assert_eq!(id_of(&consumer)?, id);
    wait_until_joined(&group, &id).await?;
    bus.publish_id("m").await?;
    let entries = bus.wait_for_processed(1).await?;
    assert_eq!(entries[0].text("consumer_id")?, id);
    Ok(())
}

#[tokio::test]
async fn a_name_that_cannot_be_an_id_is_told_at_start() -> Result<()> {
    let args = ["--restApiPort", "0", "--advertisedHost", "http://x"];
    let ended = services::run(&binaries().await?.consumer, &args, &[]).await?;
    assert!(ended.code.is_some_and(|code| code != 0), "{ended:?}");
    assert!(ended.output.contains("--advertisedHost"), "{ended:?}");
    Ok(())
}
