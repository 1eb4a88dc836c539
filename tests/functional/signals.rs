//! The signals that end a program, beside SIGTERM and SIGINT: a closed terminal, and Ctrl-\.

use std::process::Stdio;

use anyhow::{Context, Result};
use harness::{
    Bus, FakeConsumer, PATIENCE, PrivateRedis, Reply, Service, Signal, calls,
    calls::begin_processing,
    services::{binaries, fixed_port, group, log_of, redis},
    wait_until,
};
use serde_json::json;
use tokio::{io::AsyncWriteExt, process::Command, time::timeout};

use crate::process_message::lonely_consumer;

const CLOSED_TERMINAL_AND_QUIT: [Signal; 2] = [Signal::SIGHUP, Signal::SIGQUIT];

#[tokio::test]
async fn a_closed_terminal_and_sigquit_let_the_group_save_what_waits() -> Result<()> {
    for signal in CLOSED_TERMINAL_AND_QUIT {
        let redis = redis().await?;
        let (mut group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
        let ids: Vec<_> = (0..100).map(|n| n.to_string()).collect();
        bus.publish_ids(&ids).await?;
        group.signal(signal)?;
        let status = group.wait_exit(PATIENCE).await?;
        assert_eq!(status.code(), Some(0), "{signal}: {status}");
        assert_eq!(bus.queue_length().await?, 100, "{signal}");
    }
    Ok(())
}

#[tokio::test]
async fn a_closed_terminal_and_sigquit_let_a_consumer_finish_what_is_under_way() -> Result<()> {
    let redis = redis().await?;
    for signal in CLOSED_TERMINAL_AND_QUIT {
        let args = ["--processingDelayMs", "500"];
        let mut consumer = lonely_consumer(redis.port(), &args).await?;
        let message = json!({ "message_id": signal.as_str() });
        let under_way = begin_processing(&consumer, &message).await?;
        consumer.signal(signal)?;
        assert_eq!(under_way.status().await?, 200, "{signal}");
        let status = consumer.wait_exit(PATIENCE).await?;
        assert_eq!(status.code(), Some(0), "{signal}: {status}");
    }
    assert_eq!(Bus::of(&redis).processed().await?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_second_signal_of_another_kind_ends_at_once() -> Result<()> {
    let redis = redis().await?;
    let args = [
        "--attemptTimeoutMs",
        "600000",
        "--shutdownGraceSeconds",
        "600",
    ];
    let (mut group, bus) = (group(&redis, &args).await?, Bus::of(&redis));
    let stuck = FakeConsumer::join(&group, Reply::Silence).await?;
    bus.publish_id("m").await?;
    wait_until("the message to be under way", PATIENCE, async || {
        Ok(!stuck.received()?.is_empty())
    })
    .await?;
    group.signal(Signal::SIGHUP)?;
    wait_until("the group to end", PATIENCE, async || {
        Ok(calls::get(&group, "/ready").await?.status == 503)
    })
    .await?;
    group.signal(Signal::SIGQUIT)?;
    let status = group.wait_exit(PATIENCE).await?;
    assert_eq!(status.code(), Some(1), "{status}");
    Ok(())
}

#[tokio::test]
async fn under_nohup_a_closed_terminal_ends_nothing() -> Result<()> {
    let redis = redis().await?;
    let port = fixed_port()?;
    let program = &binaries().await?.group;
    let mut command = Command::new("nohup");
    command
        .arg(program)
        .args(["--logFormat", "json", "--restApiPort", &port.to_string()])
        .args(["--redisServerPort", &redis.port_text()])
        .current_dir(std::env::temp_dir());
    let mut group = Service::spawn_other(program, command)?;
    let url = format!("http://127.0.0.1:{port}/ready");
    wait_until("the group to be ready", PATIENCE, async || {
        Ok(calls::get_from(&url)
            .await
            .is_ok_and(|ready| ready.status == 200))
    })
    .await?;
    group.signal(Signal::SIGHUP)?;
    let status = group.terminate(PATIENCE).await?;
    assert_eq!(status.code(), Some(0), "{status}");
    let log = log_of(&group);
    let signals = log.iter().filter_map(|line| line["signal"].as_str());
    assert_eq!(signals.collect::<Vec<_>>(), ["SIGTERM"]);
    Ok(())
}

async fn wait_until_something_is_published(redis: &PrivateRedis) -> Result<()> {
    wait_until("something to be published", PATIENCE, async || {
        let bus = Bus::of(redis);
        let calls: String = bus.command(&["INFO", "commandstats"]).await?;
        Ok(calls.contains("cmdstat_publish"))
    })
    .await
}

#[tokio::test]
async fn a_closed_terminal_lets_the_publisher_tell_what_it_published() -> Result<()> {
    let redis = redis().await?;
    let program = &binaries().await?.publisher;
    let mut command = Command::new(program);
    command
        .args(["--rate", "100", "--count", "1000000"])
        .args(["--redisServerPort", &redis.port_text()]);
    let mut publisher = Service::spawn_other(program, command)?;
    wait_until_something_is_published(&redis).await?;
    publisher.signal(Signal::SIGHUP)?;
    let status = publisher.wait_exit(PATIENCE).await?;
    assert_eq!(status.code(), Some(130), "{status}");
    let said = publisher.logs().join("\n");
    assert!(said.contains("messages in "), "{said}");
    Ok(())
}

#[tokio::test]
async fn the_publisher_does_not_wait_for_standard_input_to_end() -> Result<()> {
    let redis = redis().await?;
    let mut publisher = Command::new(&binaries().await?.publisher)
        .args(["--file", "-", "--redisServerPort", &redis.port_text()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut input = publisher.stdin.take().context("no standard input")?;
    input.write_all(b"{\"message_id\":\"a\"}\n").await?;
    wait_until_something_is_published(&redis).await?;
    let pid = publisher.id().context("it has ended")?.to_string();
    Command::new("kill").args(["-HUP", &pid]).status().await?;
    let output = timeout(PATIENCE, publisher.wait_with_output()).await??;
    drop(input);
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("published 1 messages"), "{said}");
    Ok(())
}
