//! How the group ends.

use anyhow::Result;
use harness::{
    Bus, FakeConsumer, Ledger, PATIENCE, Reply, Signal, Stack, StackOptions,
    services::{durable_group, group, redis},
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
    let account = ledger.wait_until_settled(&bus).await?;
    assert!(account.failed.is_empty(), "{:?}", account.failed);
    assert_eq!(account.processed.len(), ledger.heard());
    assert_eq!(bus.processed().await?.len(), ledger.heard(), "each once");
    Ok(())
}

#[tokio::test]
async fn what_no_consumer_took_by_the_end_is_in_the_dead_letters() -> Result<()> {
    let redis = redis().await?;
    let (mut group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    let mut ledger = Ledger::default();
    ledger.publish(&bus, 500).await;
    let status = group.terminate(PATIENCE).await?;
    assert_eq!(status.code(), Some(0));
    let account = ledger.wait_until_settled(&bus).await?;
    assert_eq!(account.failed.len(), 500);
    expect_reason_shutdown(&bus).await
}

#[tokio::test]
async fn what_a_consumer_does_not_finish_within_the_grace_period_is_in_the_dead_letters()
-> Result<()> {
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
    let account = ledger.wait_until_settled(&bus).await?;
    assert_eq!(account.failed.len(), 500);
    assert_eq!(bus.failed().await?.len(), 500, "each once");
    expect_reason_shutdown(&bus).await
}

async fn expect_reason_shutdown(bus: &Bus) -> Result<()> {
    for entry in bus.failed().await? {
        assert_eq!(entry.text("reason")?, "shutdown");
        let payload = harness::bus::json(&entry, "payload")?;
        assert_eq!(payload["message_id"], entry.text("message_id")?);
    }
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
async fn what_cannot_be_saved_for_lack_of_redis_is_told_by_the_exit_code() -> Result<()> {
    let mut redis = redis().await?;
    let (mut group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    bus.publish_id("m").await?;
    group.wait_for_log(r#""queued":1"#, PATIENCE).await?;
    redis.kill().await?;
    assert_eq!(group.terminate(PATIENCE).await?.code(), Some(1));
    let log = group.logs().join("\n");
    assert!(log.contains("1 messages could not be saved"), "{log}");
    Ok(())
}

#[tokio::test]
async fn what_never_came_to_the_durable_queue_is_in_the_dead_letters() -> Result<()> {
    let redis = redis().await?;
    let bus = Bus::of(&redis);
    let args = ["--shutdownGraceSeconds", "1"];
    let mut group = durable_group(&redis, &args).await?;
    // Redis takes nothing for the queue.
    let queue = "{messages:processed}:queue";
    bus.command::<()>(&["SET", queue, "text"]).await?;
    let mut ledger = Ledger::default();
    ledger.publish(&bus, 500).await;
    group
        .wait_for_log("cannot bring messages to the durable queue", PATIENCE)
        .await?;
    assert_eq!(group.terminate(PATIENCE).await?.code(), Some(0));
    let account = ledger.wait_until_settled(&bus).await?;
    assert_eq!(account.failed.len(), 500);
    assert_eq!(bus.failed().await?.len(), 500, "each once");
    expect_reason_shutdown(&bus).await
}

#[tokio::test]
async fn what_never_came_to_the_durable_queue_for_lack_of_redis_is_told_by_the_exit_code()
-> Result<()> {
    let mut redis = redis().await?;
    let bus = Bus::of(&redis);
    let args = ["--shutdownGraceSeconds", "1"];
    let mut group = durable_group(&redis, &args).await?;
    let queue = "{messages:processed}:queue";
    bus.command::<()>(&["SET", queue, "text"]).await?;
    bus.publish_id("m").await?;
    group
        .wait_for_log("cannot bring messages to the durable queue", PATIENCE)
        .await?;
    redis.kill().await?;
    assert_eq!(group.terminate(PATIENCE).await?.code(), Some(1));
    let log = group.logs().join("\n");
    assert!(log.contains("1 messages could not be saved"), "{log}");
    Ok(())
}
