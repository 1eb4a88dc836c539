//! How the group ends.

use anyhow::Result;
use harness::{
    Bus, FakeConsumer, Ledger, PATIENCE, PrivateRedis, Reply, Signal, Stack, StackOptions,
    services::{self, group, redis},
    wait_until,
};

#[tokio::test]
async fn sigterm_under_load_ends_in_order_and_loses_nothing_that_was_heard() -> Result<()> {
    let mut stack = Stack::start(StackOptions {
        consumer_args: &["--processingDelayMs", "50"],
        ..StackOptions::default()
    })
    .await?;
    let (bus, mut ledger) = (Bus::of(&stack.redis), Ledger::default());
    let stop = async {
        wait_until("some messages to be processed", PATIENCE, async || {
            Ok(bus.finished().await? >= 300)
        })
        .await?;
        stack.group.terminate(PATIENCE).await
    };
    let ((), status) = tokio::join!(ledger.publish_steadily(&bus, 1500, 500), stop);
    assert_eq!(status?.code(), Some(0));
    assert!(ledger.heard() >= 300);
    // A consumer commits what it was given last on its own.
    wait_until(
        "all to be processed or in the queue",
        PATIENCE,
        async || Ok(bus.processed().await?.len() + bus.queue_length().await? == ledger.heard()),
    )
    .await?;
    assert!(bus.failed().await?.is_empty());
    let group = group(&stack.redis, &[]).await?;
    let _consumer = services::consumer(&stack.redis, &group, &[]).await?;
    ledger.wait_until_settled(&bus).await?;
    assert_eq!(bus.processed().await?.len(), ledger.heard(), "each once");
    Ok(())
}

#[tokio::test]
async fn what_no_consumer_took_by_the_end_waits_in_the_queue() -> Result<()> {
    let redis = redis().await?;
    let (mut group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    let mut ledger = Ledger::default();
    ledger.publish(&bus, 500).await;
    let status = group.terminate(PATIENCE).await?;
    assert_eq!(status.code(), Some(0));
    expect_the_next_group_to_deliver(&redis, &ledger).await
}

#[tokio::test]
async fn what_a_consumer_does_not_finish_within_the_grace_period_waits_in_the_queue() -> Result<()>
{
    let redis = redis().await?;
    let args = ["--shutdownGraceSeconds", "1", "--attemptTimeoutMs", "60000"];
    let (mut group, bus) = (group(&redis, &args).await?, Bus::of(&redis));
    let stuck = FakeConsumer::join(&group, Reply::Silence).await?;
    let mut ledger = Ledger::default();
    ledger.publish(&bus, 500).await;
    wait_until("the stuck one to have some", PATIENCE, async || {
        Ok(!stuck.received()?.is_empty())
    })
    .await?;
    let status = group.terminate(PATIENCE).await?;
    assert_eq!(status.code(), Some(0));
    drop(stuck);
    expect_the_next_group_to_deliver(&redis, &ledger).await
}

/// All 500 messages are there for the next group, at once.
async fn expect_the_next_group_to_deliver(redis: &PrivateRedis, ledger: &Ledger) -> Result<()> {
    let bus = Bus::of(redis);
    assert_eq!(bus.queue_length().await?, 500);
    assert!(bus.failed().await?.is_empty());
    let group = group(redis, &[]).await?;
    let _consumer = services::consumer(redis, &group, &[]).await?;
    let account = ledger.wait_until_settled(&bus).await?;
    assert_eq!(account.processed.len(), 500);
    assert_eq!(bus.processed().await?.len(), 500, "each once");
    Ok(())
}

#[tokio::test]
async fn sigint_ends_in_order_too() -> Result<()> {
    let redis = redis().await?;
    let mut group = group(&redis, &[]).await?;
    group.signal(Signal::SIGINT)?;
    assert_eq!(group.wait_exit(PATIENCE).await?.code(), Some(0));
    Ok(())
}

#[tokio::test]
async fn a_second_sigterm_ends_at_once() -> Result<()> {
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
    group.signal(Signal::SIGTERM)?;
    group.wait_for_log("shutting down", PATIENCE).await?;
    let status = group.terminate(PATIENCE).await?;
    assert!(status.code().is_some_and(|code| code != 0), "{status}");
    Ok(())
}

#[tokio::test]
async fn without_redis_the_group_ends_in_order_when_it_holds_nothing() -> Result<()> {
    let mut redis = redis().await?;
    let mut group = group(&redis, &[]).await?;
    redis.kill().await?;
    assert_eq!(group.terminate(PATIENCE).await?.code(), Some(0));
    Ok(())
}

#[tokio::test]
async fn what_never_came_to_the_queue_is_told_by_the_exit_code() -> Result<()> {
    let mut redis = redis().await?;
    let bus = Bus::of(&redis);
    let args = ["--shutdownGraceSeconds", "1"];
    let mut group = group(&redis, &args).await?;
    let queue = "{messages:processed}:queue";
    bus.command::<()>(&["SET", queue, "text"]).await?;
    bus.publish_id("m").await?;
    group
        .wait_for_log("cannot bring messages to the queue", PATIENCE)
        .await?;
    redis.kill().await?;
    assert_eq!(group.terminate(PATIENCE).await?.code(), Some(1));
    let log = group.logs().join("\n");
    assert!(log.contains("1 messages could not be saved"), "{log}");
    Ok(())
}
