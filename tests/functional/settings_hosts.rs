//! Hosts and numbers at the ends of what is allowed, with services that run.

use anyhow::{Context, Result};
use harness::{
    Bus, PrivateRedis, Service,
    services::{
        binaries, consumer, group, id_of, redis, wait_for_account, wait_until_joined,
        wait_until_subscribed,
    },
};

/// Starts a group and a consumer that reach each other and Redis at this host, and publishes a message.
async fn works_at(redis: &PrivateRedis, host: &str) -> Result<()> {
    let (binaries, port) = (binaries().await?, redis.port_text());
    let both = [
        "--restApiHost",
        host,
        "--restApiPort",
        "0",
        "--redisServerHost",
        host,
    ];
    let both = [&both[..], &["--redisServerPort", &port]].concat();
    let group = Service::start(&binaries.group, &both, &[]).await?;
    wait_until_subscribed(&group).await?;
    let own = ["--consumerGroupAppHost", host, "--consumerGroupAppPort"];
    let own = [
        &both[..],
        &own,
        &[group.port_text(), "--advertisedHost", host],
    ]
    .concat();
    let consumer = Service::start(&binaries.consumer, &own, &[]).await?;
    wait_until_joined(&group, &id_of(&consumer)?).await?;
    let bus = Bus::of(redis);
    bus.publish_id(host).await?;
    wait_for_account(&group, 1, 0).await
}

#[tokio::test]
async fn an_ipv6_address_may_stand_in_brackets_or_not_in_every_setting() -> Result<()> {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        eprintln!("skipped: this machine has no IPv6");
        return Ok(());
    }
    let bind = ["--bind", "127.0.0.1", "::1"];
    for host in ["::1", "[::1]"] {
        let redis = PrivateRedis::start(&bind).await?;
        works_at(&redis, host).await.context(host)?;
    }
    let redis = PrivateRedis::start(&bind).await?;
    let url = format!("redis://[::1]:{}/1", redis.port());
    let args = ["--restApiPort", "0", "--redisUrl", &url];
    let group = Service::start(&binaries().await?.group, &args, &[]).await?;
    wait_until_subscribed(&group).await
}

#[tokio::test]
async fn a_trailing_dot_is_a_good_host_name() -> Result<()> {
    let binaries = binaries().await?;
    for (program, flag, key) in [
        (&binaries.group, "--redisServerHost", "redis.host"),
        (&binaries.group, "--restApiHost", "rest_api.host"),
        (
            &binaries.consumer,
            "--consumerGroupAppHost",
            "consumer_group_app.host",
        ),
    ] {
        let args = ["--checkConfig", flag, "host.example."];
        let ended = harness::services::run(program, &args, &[]).await?;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let mut lines = ended.output.lines();
        let line = lines
            .find(|line| line.starts_with(key))
            .context("no such key")?;
        assert!(line.contains(" host.example. "), "{line}");
    }
    Ok(())
}

#[tokio::test]
async fn both_services_work_with_the_least_and_with_the_most_of_every_number() -> Result<()> {
    // The least of an attempt's time and of what is buffered would give messages up, as they should.
    let least = [
        ["--maxConsumerGroupSize", "1"],
        ["--healthCheckIntervalSeconds", "1"],
        ["--maxInFlightPerConsumer", "1"],
        ["--maxBatch", "1"],
        ["--maxBufferedMessages", "1"],
        ["--dedupWindowSeconds", "0"],
        ["--shutdownGraceSeconds", "0"],
    ];
    let most = [
        ["--maxConsumerGroupSize", "100000"],
        ["--healthCheckIntervalSeconds", "86400"],
        ["--maxInFlightPerConsumer", "65535"],
        ["--maxBatch", "65535"],
        ["--maxAttempts", "1000000"],
        ["--maxDeliveries", "1000000"],
        ["--attemptTimeoutMs", "86400000"],
        ["--maxBufferedMessages", "1000000000"],
        ["--maxBufferedBytes", "1099511627776"],
        ["--dedupWindowSeconds", "31536000"],
        ["--shutdownGraceSeconds", "86400"],
        ["--workerThreads", "512"],
    ];
    let consumers_least = [
        ["--registrationCheckIntervalSeconds", "1"],
        ["--maxBatch", "1"],
        ["--dedupWindowSeconds", "0"],
        ["--shutdownGraceSeconds", "0"],
    ];
    let consumers_most = [
        ["--registrationCheckIntervalSeconds", "86400"],
        ["--maxDeliveries", "1000000"],
        ["--processingConcurrency", "1000000"],
        ["--maxBatch", "65535"],
        ["--dedupWindowSeconds", "31536000"],
        ["--processedMaxLen", "1000000000000"],
        ["--shutdownGraceSeconds", "86400"],
        ["--workerThreads", "512"],
    ];
    for (of_group, of_consumer) in [
        (least.as_flattened(), consumers_least.as_flattened()),
        (most.as_flattened(), consumers_most.as_flattened()),
    ] {
        let redis = redis().await?;
        let mut group = group(&redis, of_group).await?;
        let mut consumer = consumer(&redis, &group, of_consumer).await?;
        Bus::of(&redis).publish_id("m").await?;
        wait_for_account(&group, 1, 0).await?;
        for service in [&mut consumer, &mut group] {
            let status = service.terminate(harness::PATIENCE).await?;
            assert!(status.success(), "{status}");
            let logs = service.logs().join("\n");
            assert!(!logs.contains("panic"), "{logs}");
        }
    }
    Ok(())
}
