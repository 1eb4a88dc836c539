//! How a consumer ends.

use anyhow::Result;
use harness::{
    Bus, Ledger, PATIENCE, Signal, Stack, StackOptions, bus,
    calls::begin_processing,
    services::{id_of, redis, wait_for_members},
    wait_until,
};
use serde_json::json;

use crate::process_message::lonely_consumer;

#[tokio::test]
async fn sigterm_under_load_loses_nothing_and_repeats_nothing() -> Result<()> {
    let mut stack = Stack::start(StackOptions {
        consumer_args: &["--processingDelayMs", "50"],
        ..StackOptions::default()
    })
    .await?;
    let (bus, mut ledger) = (Bus::of(&stack.redis), Ledger::default());
    let staying = id_of(&stack.consumers[1])?;
    let stop = async {
        wait_until("some messages to be processed", PATIENCE, async || {
            Ok(bus.finished().await? >= 300)
        })
        .await?;
        stack.consumers[0].terminate(PATIENCE).await
    };
    let ((), status) = tokio::join!(ledger.publish_steadily(&bus, 1500, 500), stop);
    assert_eq!(status?.code(), Some(0));
    assert_eq!(ledger.heard(), 1500);
    wait_for_members(&bus, &[&staying]).await?;
    let account = ledger.wait_until_settled(&bus).await?;
    assert_eq!(account.processed.len(), 1500, "{:?}", account.failed);
    assert_eq!(bus.processed().await?.len(), 1500, "each once");
    Ok(())
}

#[tokio::test]
async fn the_last_consumer_to_leave_loses_nothing_either() -> Result<()> {
    let mut stack = Stack::start(StackOptions {
        consumers: 1,
        consumer_args: &["--processingDelayMs", "50"],
        ..StackOptions::default()
    })
    .await?;
    let (bus, mut ledger) = (Bus::of(&stack.redis), Ledger::default());
    ledger.publish(&bus, 500).await;
    wait_until("some messages to be processed", PATIENCE, async || {
        Ok(bus.finished().await? >= 20)
    })
    .await?;
    assert_eq!(
        stack.consumers[0].terminate(PATIENCE).await?.code(),
        Some(0)
    );
    let binaries = harness::services::binaries().await?;
    stack.add_consumer(binaries, &[]).await?;
    let account = ledger.wait_until_settled(&bus).await?;
    assert_eq!(account.processed.len(), 500, "{:?}", account.failed);
    let mut ids = bus::ids(&bus.processed().await?)?;
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 500);
    Ok(())
}

#[tokio::test]
async fn a_second_sigterm_ends_at_once() -> Result<()> {
    let redis = redis().await?;
    let args = [
        "--processingDelayMs",
        "600000",
        "--shutdownGraceSeconds",
        "600",
    ];
    let mut consumer = lonely_consumer(redis.port(), &args).await?;
    let _under_way = begin_processing(&consumer, &json!({ "message_id": "m" })).await?;
    consumer.signal(Signal::SIGTERM)?;
    consumer.wait_for_log("shutting down", PATIENCE).await?;
    let status = consumer.terminate(PATIENCE).await?;
    assert!(status.code().is_some_and(|code| code != 0), "{status}");
    Ok(())
}

#[tokio::test]
async fn work_that_outlasts_the_grace_period_is_cut() -> Result<()> {
    let redis = redis().await?;
    let args = [
        "--processingDelayMs",
        "600000",
        "--shutdownGraceSeconds",
        "1",
    ];
    let mut consumer = lonely_consumer(redis.port(), &args).await?;
    let _under_way = begin_processing(&consumer, &json!({ "message_id": "m" })).await?;
    let status = consumer.terminate(PATIENCE).await?;
    assert_eq!(status.code(), Some(0));
    let log = consumer.logs().join("\n");
    assert!(log.contains("the grace period is over"), "{log}");
    assert!(Bus::of(&redis).processed().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn without_a_group_to_unregister_from_a_consumer_ends_in_order() -> Result<()> {
    let redis = redis().await?;
    let mut consumer = lonely_consumer(redis.port(), &[]).await?;
    assert_eq!(consumer.terminate(PATIENCE).await?.code(), Some(0));
    Ok(())
}
