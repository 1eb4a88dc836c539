//! What is published waits in Redis, and replicas of the group share it.

use anyhow::Result;
use harness::{
    Bus, FakeConsumer, Ledger, PATIENCE, ReplicaOptions, Replicas, Reply,
    replicas::{wait_until_each_ended_once, wait_until_each_is_processed_once},
    services::{self, group, redis, wait_until_joined},
    status::{status, wait_for_status},
    wait_until,
};
use serde_json::json;

#[tokio::test]
async fn two_replicas_deliver_each_message_once_and_the_account_adds_up() -> Result<()> {
    let replicas = Replicas::start(ReplicaOptions::default()).await?;
    let (bus, auditor) = (replicas.bus(), replicas.audit());
    let mut ledger = Ledger::default();
    ledger.publish_steadily(&bus, 3000, 1000).await;
    assert_eq!(ledger.heard(), 3000);
    wait_until_each_is_processed_once(&bus, &ledger).await?;
    // Both heard each of them.
    let expected = json!({
        "received": 6000, "processed": 3000, "duplicate": 3000,
        "dead_lettered": 0, "in_flight": 0, "queued": 0, "buffered": 0,
    });
    for group in &replicas.groups {
        wait_for_status(group, &expected).await?;
        let consumers = &status(group).await?["consumers"];
        let delivered = consumers[0]["outcomes"]["delivered"].as_u64();
        assert!(delivered > Some(0), "each replica delivers: {consumers}");
    }
    assert_eq!(bus.pending().await?, 0);
    auditor.looks()?;
    Ok(())
}

#[tokio::test]
async fn an_id_published_a_thousand_times_to_two_replicas_is_one_entry() -> Result<()> {
    let replicas = Replicas::start(ReplicaOptions::default()).await?;
    let bus = replicas.bus();
    let heard = bus.publish_ids(&vec!["m".to_owned(); 1000]).await?;
    assert_eq!(heard, [2; 1000]);
    let expected = json!({ "received": 2000, "processed": 1, "duplicate": 1999 });
    wait_for_status(&replicas.groups[0], &expected).await?;
    assert_eq!(bus.processed().await?.len(), 1);
    assert_eq!(bus.queue_length().await?, 0);
    Ok(())
}

#[tokio::test]
async fn without_consumers_messages_stay_in_the_queue_until_one_comes() -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    let mut ledger = Ledger::default();
    ledger.publish(&bus, 500).await;
    let waiting = json!({ "received": 500, "queued": 500, "in_flight": 0, "buffered": 0 });
    wait_for_status(&group, &waiting).await?;
    // Two lines of throughput are three seconds apart.
    for _ in 0..2 {
        let (log, mark) = (group.log(), group.log().mark());
        log.wait_for_since(mark, "throughput", PATIENCE).await?;
    }
    wait_for_status(&group, &waiting).await?;
    let _consumer = services::consumer(&redis, &group, &[]).await?;
    wait_until_each_is_processed_once(&bus, &ledger).await
}

#[tokio::test]
async fn what_waits_while_all_consumers_are_dead_is_delivered_when_one_returns() -> Result<()> {
    let mut replicas = Replicas::start(ReplicaOptions {
        consumer_args: &["--processingDelayMs", "50"],
        ..ReplicaOptions::default()
    })
    .await?;
    let (bus, mut ledger) = (replicas.bus(), Ledger::default());
    ledger.publish(&bus, 1000).await;
    wait_until("some to be processed", PATIENCE, async || {
        Ok(bus.finished().await? > 50)
    })
    .await?;
    for mut consumer in replicas.consumers.drain(..) {
        consumer.kill().await?;
    }
    services::wait_for_members(&bus, &[]).await?;
    ledger.publish(&bus, 500).await;
    let group = &replicas.groups[0];
    wait_for_status(group, &json!({ "received": 3000, "buffered": 0 })).await?;
    let _consumer = services::consumer(&replicas.redis, group, &[]).await?;
    wait_until_each_is_processed_once(&bus, &ledger).await
}

async fn expect_each_fails_once(groups: usize) -> Result<()> {
    let replicas = Replicas::start(ReplicaOptions {
        groups,
        consumers: 0,
        group_args: &["--maxAttempts", "3"],
        ..ReplicaOptions::default()
    })
    .await?;
    let (bus, auditor) = (replicas.bus(), replicas.audit());
    let mut failing = Vec::new();
    for _ in 0..2 {
        let consumer = FakeConsumer::join(&replicas.groups[0], Reply::status(500)).await?;
        for group in &replicas.groups {
            wait_until_joined(group, &consumer.id()).await?;
        }
        failing.push(consumer);
    }
    let mut ledger = Ledger::default();
    ledger.publish(&bus, 50).await;
    let account = wait_until_each_ended_once(&bus, &ledger).await?;
    assert_eq!(account.failed.len(), 50, "{:?}", account.processed);
    for entry in bus.failed().await? {
        assert_eq!(entry.text("reason")?, "attempts_exhausted");
        assert_eq!(entry.text("attempts")?, "3");
    }
    let expected = json!({ "dead_lettered": 50, "processed": 0, "in_flight": 0, "queued": 0 });
    wait_for_status(&replicas.groups[0], &expected).await?;
    auditor.looks()?;
    Ok(())
}

#[tokio::test]
async fn what_all_consumers_fail_is_a_dead_letter_once() -> Result<()> {
    expect_each_fails_once(1).await
}

#[tokio::test]
async fn what_all_consumers_fail_at_two_replicas_is_a_dead_letter_once() -> Result<()> {
    expect_each_fails_once(2).await
}

#[tokio::test]
async fn no_more_is_read_than_consumers_can_be_given_soon() -> Result<()> {
    let redis = redis().await?;
    let args = ["--attemptTimeoutMs", "60000"];
    let (group, bus) = (group(&redis, &args).await?, Bus::of(&redis));
    let _stuck = FakeConsumer::join(&group, Reply::Silence).await?;
    Ledger::default().publish(&bus, 2000).await;
    // The rest is there for another replica.
    wait_until("some to be held, and most not", PATIENCE, async || {
        let status = status(&group).await?;
        let number = |name: &str| status[name].as_u64().unwrap_or_default();
        let (held, left) = (number("in_flight"), number("queued"));
        Ok(held + left == 2000 && (1..=1024).contains(&held))
    })
    .await
}

/// Consumers that take longer than an attempt may, and commit all the same.
#[tokio::test]
async fn late_commits_leave_one_entry_or_one_dead_letter() -> Result<()> {
    let redis = redis().await?;
    let args = ["--attemptTimeoutMs", "250", "--maxAttempts", "2"];
    let (group, bus) = (group(&redis, &args).await?, Bus::of(&redis));
    let mut consumers = Vec::new();
    // The slowest commits after the message was given up, the quickest in time.
    for delay in ["100", "400", "900"] {
        let args = ["--processingDelayMs", delay];
        consumers.push(services::consumer(&redis, &group, &args).await?);
    }
    let mut ledger = Ledger::default();
    ledger.publish_steadily(&bus, 200, 100).await;
    ledger.wait_until_settled(&bus).await?;
    for consumer in &mut consumers {
        assert_eq!(consumer.terminate(PATIENCE).await?.code(), Some(0));
    }
    let account = wait_until_each_ended_once(&bus, &ledger).await?;
    assert!(!account.processed.is_empty(), "the test shows nothing");
    assert!(!account.failed.is_empty(), "the test shows nothing");
    let (processed, failed) = (account.processed.len(), account.failed.len());
    assert_eq!(processed + failed, 200);
    let expected = json!({ "processed": processed, "dead_lettered": failed, "duplicate": 0 });
    wait_for_status(&group, &expected).await
}
