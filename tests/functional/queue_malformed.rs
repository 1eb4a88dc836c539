//! What comes to the queue and is no message.

use std::collections::BTreeSet;

use anyhow::Result;
use harness::{
    Bus, FakeConsumer, PATIENCE, PrivateRedis, ReplicaOptions, Replicas, Reply, Service,
    calls::post_raw,
    services::{self, group, redis, wait_until_joined},
    status::{status, wait_for_status},
    wait_until,
};
use serde_json::json;

const LINES: Option<&str> = Some("application/x-ndjson");

const QUEUE: &str = "{messages:processed}:queue";

async fn two_replicas() -> Result<Replicas> {
    Replicas::start(ReplicaOptions {
        consumers: 1,
        ..ReplicaOptions::default()
    })
    .await
}

#[tokio::test]
async fn what_is_no_message_is_one_dead_letter_however_many_replicas_hear_it() -> Result<()> {
    let replicas = two_replicas().await?;
    let (bus, auditor) = (replicas.bus(), replicas.audit());
    let payloads: [&[u8]; 5] = [
        b"",
        b"not json",
        b"\xfe\xff\0",
        b"{\"message_id\":7}",
        b"[]",
    ];
    for payload in payloads {
        assert_eq!(bus.publish(payload).await?, 2);
    }
    let expected = json!({ "received": 10, "dead_lettered": 5, "duplicate": 5 });
    wait_for_status(&replicas.groups[0], &expected).await?;
    let failed = bus.failed().await?;
    let mut letters = Vec::new();
    for entry in &failed {
        letters.push(entry.bytes("payload")?);
    }
    letters.sort_unstable();
    let mut published = payloads.to_vec();
    published.sort_unstable();
    assert_eq!(letters, published);
    auditor.looks()?;
    Ok(())
}

#[tokio::test]
async fn what_is_no_message_and_differs_only_near_its_end_is_a_dead_letter_each() -> Result<()> {
    let replicas = two_replicas().await?;
    let bus = replicas.bus();
    let start = "x".repeat(5000);
    let payloads = ["a", "b", "ccc"].map(|end| format!("{start}{end}"));
    for payload in &payloads {
        assert_eq!(bus.publish(payload).await?, 2);
    }
    let expected = json!({ "received": 6, "dead_lettered": 3, "duplicate": 3 });
    wait_for_status(&replicas.groups[0], &expected).await?;
    assert_eq!(bus.failed().await?.len(), 3);
    Ok(())
}

#[tokio::test]
async fn what_a_stranger_put_into_the_queue_is_a_dead_letter_or_a_message() -> Result<()> {
    let replicas = two_replicas().await?;
    let bus = replicas.bus();
    let strange = [
        ["foo", "bar"],
        ["message", "not json"],
        ["message", r#"{"message_id":""}"#],
        ["message", ""],
    ];
    // By its id, each is a chunk of one message.
    for ([field, value], id) in strange.into_iter().zip(["1-0", "2-0", "3-0", "4-0"]) {
        bus.command::<String>(&["XADD", QUEUE, id, field, value])
            .await?;
    }
    let fit = ["XADD", QUEUE, "5-0", "message", r#"{"message_id":"fit"}"#];
    bus.command::<String>(&fit).await?;
    wait_until("all of it to leave the queue", PATIENCE, async || {
        Ok(bus.queue_length().await? == 0 && bus.finished().await? == 5)
    })
    .await?;
    let processed = bus.processed().await?;
    assert_eq!(harness::bus::ids(&processed)?, ["fit"]);
    let mut reasons = Vec::new();
    for entry in bus.failed().await? {
        reasons.push(entry.text("reason")?);
    }
    reasons.sort_unstable();
    assert_eq!(
        reasons,
        ["bad_message_id", "not_json", "not_json", "not_json"]
    );
    Ok(())
}

/// What a message may be handed out, for these tests.
const TWO_DELIVERIES: [&str; 4] = ["--maxDeliveries", "2", "--attemptTimeoutMs", "60000"];

/// A group that is given these messages, and is killed while its only consumer has one in hand and so many are given
/// up. What it held can be taken over at once.
async fn kill_with_a_message_in_hand(
    redis: &PrivateRedis,
    ids: &[&str],
    given_up: usize,
) -> Result<()> {
    let bus = Bus::of(redis);
    let mut group = group(redis, &TWO_DELIVERIES).await?;
    let stuck = FakeConsumer::start(Reply::Silence).await?;
    stuck.register_with(&group).await?;
    if !ids.is_empty() {
        let lines: Vec<_> = ids.iter().map(|id| harness::bus::message(id)).collect();
        let answer = post_raw(&group, "/messages", LINES, lines.join("\n")).await?;
        assert_eq!(answer.status, 202, "{answer:?}");
    }
    wait_until("a message to be under way", PATIENCE, async || {
        Ok(stuck.received()?.len() == 1 && bus.failed().await?.len() == given_up)
    })
    .await?;
    group.kill().await?;
    assert_eq!(bus.age_pending().await?, 1);
    bus.command::<u64>(&["DEL", "consumer:ids"]).await?;
    Ok(())
}

#[tokio::test]
async fn what_two_groups_died_with_is_a_dead_letter_after_the_deliveries_allowed() -> Result<()> {
    let redis = redis().await?;
    let bus = Bus::of(&redis);
    kill_with_a_message_in_hand(&redis, &["m"], 0).await?;
    kill_with_a_message_in_hand(&redis, &[], 0).await?;
    let group = group(&redis, &TWO_DELIVERIES).await?;
    let well = FakeConsumer::join(&group, Reply::status(200)).await?;
    let failed = bus.wait_for_failed(1).await?;
    assert_eq!(failed[0].text("reason")?, "deliveries_exhausted");
    assert_eq!(failed[0].text("message_id")?, "m");
    wait_for_status(&group, &json!({ "dead_lettered": 1, "in_flight": 0 })).await?;
    assert!(well.received()?.is_empty());
    Ok(())
}

#[tokio::test]
async fn what_was_beside_a_message_that_was_given_up_has_all_its_deliveries_again() -> Result<()> {
    let redis = redis().await?;
    let bus = Bus::of(&redis);
    kill_with_a_message_in_hand(&redis, &["a", "b", "c"], 0).await?;
    kill_with_a_message_in_hand(&redis, &[], 0).await?;
    // This one gives up the first message, and is killed with the second in hand.
    kill_with_a_message_in_hand(&redis, &[], 1).await?;
    let group = group(&redis, &TWO_DELIVERIES).await?;
    let _well = FakeConsumer::join(&group, Reply::status(200)).await?;
    let expected = json!({ "processed": 2, "dead_lettered": 1, "in_flight": 0 });
    wait_for_status(&group, &expected).await?;
    assert_eq!(harness::bus::ids(&bus.failed().await?)?, ["a"]);
    Ok(())
}

#[tokio::test]
async fn dead_letters_that_redis_refuses_are_each_written_once_when_it_does_not() -> Result<()> {
    let replicas = Replicas::start(ReplicaOptions {
        consumers: 0,
        group_args: &["--maxAttempts", "1"],
        ..ReplicaOptions::default()
    })
    .await?;
    let (bus, auditor) = (replicas.bus(), replicas.audit());
    bus.command::<()>(&["SET", "{messages:processed}:failed", "text"])
        .await?;
    let failing = FakeConsumer::join(&replicas.groups[0], Reply::status(422)).await?;
    wait_until_joined(&replicas.groups[1], &failing.id()).await?;
    let ids: Vec<_> = (0..50).map(|number| number.to_string()).collect();
    bus.publish_ids(&ids).await?;
    bus.publish("garbage").await?;
    // Whoever was handed them.
    wait_until("letters to be refused", PATIENCE, async || {
        let logs = replicas.groups.iter().flat_map(Service::logs);
        let said = logs.filter(|line| line.contains("cannot write dead letters"));
        Ok(said.last().is_some_and(|line| line.contains("WRONGTYPE")))
    })
    .await?;
    bus.command::<u64>(&["DEL", "{messages:processed}:failed"])
        .await?;
    let expected = json!({ "received": 102, "dead_lettered": 51, "duplicate": 51, "in_flight": 0 });
    wait_for_status(&replicas.groups[0], &expected).await?;
    let payloads: Result<BTreeSet<_>> = bus
        .failed()
        .await?
        .iter()
        .map(|entry| entry.text("payload"))
        .collect();
    assert_eq!(bus.failed().await?.len(), 51);
    assert_eq!(payloads?.len(), 51);
    auditor.looks()?;
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_stored_waits_for_redis_however_often_it_was_tried() -> Result<()> {
    let redis = redis().await?;
    let bus = Bus::of(&redis);
    let group = group(&redis, &["--maxAttempts", "2"]).await?;
    let consumer = services::consumer(&redis, &group, &[]).await?;
    wait_until_joined(&group, &services::id_of(&consumer)?).await?;
    bus.command::<()>(&["SET", "messages:processed", "in the way"])
        .await?;
    bus.publish_id("patient").await?;
    wait_until("more attempts than are allowed", PATIENCE, async || {
        // "Try again later", as the group understands it.
        let busy = &status(&group).await?["consumers"][0]["outcomes"]["busy"];
        Ok(busy.as_u64() > Some(3))
    })
    .await?;
    bus.command::<()>(&["DEL", "messages:processed"]).await?;
    bus.wait_for_processed(1).await?;
    let expected = json!({ "processed": 1, "dead_lettered": 0, "in_flight": 0, "queued": 0 });
    wait_for_status(&group, &expected).await?;
    Ok(())
}
