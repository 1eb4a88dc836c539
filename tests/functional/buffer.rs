//! The bounds of what the group keeps while Redis takes nothing for the queue.

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use harness::{
    Bus, PATIENCE, PrivateRedis, Service,
    services::{consumer, group, redis},
    status::{adds_up, status, wait_for_status},
    wait_until,
};
use serde_json::json;

const QUEUE: &str = "{messages:processed}:queue";

/// A message of so many bytes.
fn message(number: usize, bytes: usize) -> String {
    let message = |fill: &str| format!(r#"{{"message_id":"{number}","fill":"{fill}"}}"#);
    message(&"x".repeat(bytes - message("").len()))
}

/// A group whose Redis takes nothing for the queue, with its buffer full.
async fn full(redis: &PrivateRedis, args: &[&str]) -> Result<Service> {
    let (group, bus) = (group(redis, args).await?, Bus::of(redis));
    bus.command::<u64>(&["DEL", QUEUE]).await?;
    bus.command::<()>(&["SET", QUEUE, "text"]).await?;
    let number = AtomicUsize::new(0);
    wait_until("the buffer to be full", PATIENCE, async || {
        let number = number.fetch_add(1, Ordering::Relaxed);
        bus.publish(message(number, 1000)).await?;
        let logs = group.logs();
        Ok(logs.iter().any(|line| line.contains("the buffer is full")))
    })
    .await?;
    Ok(group)
}

async fn expect_what_is_heard_waits_and_is_admitted(args: &[&str]) -> Result<()> {
    let redis = redis().await?;
    let bus = Bus::of(&redis);
    let group = full(&redis, args).await?;
    // What is published now waits in Redis, which would let much more wait.
    let ids: Vec<_> = (0..1000).map(|number| format!("late {number}")).collect();
    assert!(bus.publish_ids(&ids).await?.iter().all(|heard| *heard == 1));
    bus.command::<u64>(&["DEL", QUEUE]).await?;
    let _consumer = consumer(&redis, &group, &[]).await?;
    wait_until("the late ones to be processed", PATIENCE, async || {
        let processed = harness::bus::ids(&bus.processed().await?)?;
        Ok(ids.iter().all(|id| processed.contains(id)))
    })
    .await?;
    wait_for_status(
        &group,
        &json!({ "queued": 0, "in_flight": 0, "buffered": 0 }),
    )
    .await?;
    let status = status(&group).await?;
    assert!(adds_up(&status), "{status}");
    assert_eq!(status["subscription_gaps"], 0);
    assert!(bus.failed().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn beyond_the_bound_in_messages_no_more_is_read_until_there_is_room() -> Result<()> {
    expect_what_is_heard_waits_and_is_admitted(&["--maxBufferedMessages", "10"]).await
}

#[tokio::test]
async fn beyond_the_bound_in_bytes_no_more_is_read_until_there_is_room() -> Result<()> {
    expect_what_is_heard_waits_and_is_admitted(&["--maxBufferedBytes", "10999"]).await
}

#[tokio::test]
async fn a_subscription_that_redis_ends_meanwhile_is_counted_as_a_gap() -> Result<()> {
    let redis = redis().await?;
    let bus = Bus::of(&redis);
    let limit = ["client-output-buffer-limit", "pubsub 1mb 0 0"];
    bus.command::<()>(&["CONFIG", "SET", limit[0], limit[1]])
        .await?;
    let group = full(&redis, &["--maxBufferedMessages", "10"]).await?;
    let number = AtomicUsize::new(1_000_000);
    wait_until("Redis to end the subscription", PATIENCE, async || {
        let number = number.fetch_add(1, Ordering::Relaxed);
        Ok(bus.publish(message(number, 500_000)).await? == 0)
    })
    .await?;
    bus.command::<u64>(&["DEL", QUEUE]).await?;
    wait_for_status(&group, &json!({ "subscription_gaps": 1, "buffered": 0 })).await
}
