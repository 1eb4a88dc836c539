//! A message that one consumer failed is tried at another.

use std::time::Duration;

use anyhow::Result;
use harness::{
    Bus, FakeConsumer, Ledger, PATIENCE, PrivateRedis, Reply, Service,
    services::{self, group, redis, wait_for_account},
    wait_until,
};

/// How many messages are published beside a sick consumer: that it gets none of them by chance is as
/// likely as heads forty times in a row.
const MESSAGES: usize = 40;

struct Scene {
    _redis: PrivateRedis,
    group: Service,
    bus: Bus,
    _healthy: Service,
}

/// A group with one healthy consumer.
async fn scene(group_args: &[&str]) -> Result<Scene> {
    let redis = redis().await?;
    let group = group(&redis, group_args).await?;
    let healthy = services::consumer(&redis, &group, &[]).await?;
    Ok(Scene {
        bus: Bus::of(&redis),
        _redis: redis,
        group,
        _healthy: healthy,
    })
}

impl Scene {
    async fn expect_all_processed(&self) -> Result<()> {
        let mut ledger = Ledger::default();
        ledger.publish(&self.bus, MESSAGES).await;
        assert_eq!(ledger.heard(), MESSAGES);
        let account = ledger.wait_until_settled(&self.bus).await?;
        assert_eq!(account.processed.len(), MESSAGES, "{:?}", account.failed);
        assert!(account.failed.is_empty(), "{:?}", account.failed);
        Ok(())
    }
}

async fn expect_all_processed_beside_one_that_answers(reply: Reply, args: &[&str]) -> Result<()> {
    let scene = scene(args).await?;
    let sick = FakeConsumer::join(&scene.group, reply).await?;
    scene.expect_all_processed().await?;
    assert!(!sick.received()?.is_empty(), "it was never tried");
    Ok(())
}

#[tokio::test]
async fn what_a_consumer_answers_with_500_is_processed_by_another() -> Result<()> {
    expect_all_processed_beside_one_that_answers(Reply::status(500), &[]).await
}

#[tokio::test]
async fn what_a_consumer_never_answers_is_processed_by_another() -> Result<()> {
    let args = ["--attemptTimeoutMs", "300"];
    expect_all_processed_beside_one_that_answers(Reply::Silence, &args).await
}

#[tokio::test]
async fn what_a_consumer_answers_half_is_processed_by_another() -> Result<()> {
    expect_all_processed_beside_one_that_answers(Reply::HalfAnAnswer, &[]).await
}

#[tokio::test]
async fn what_a_consumer_answers_with_garbage_is_processed_by_another() -> Result<()> {
    expect_all_processed_beside_one_that_answers(Reply::Garbage, &[]).await
}

#[tokio::test]
async fn what_a_consumer_redirects_is_processed_by_another() -> Result<()> {
    let header = "Location: http://127.0.0.1:1/processMessage".to_owned();
    let redirect = Reply::Answer(307, vec![header], String::new());
    expect_all_processed_beside_one_that_answers(redirect, &[]).await
}

#[tokio::test]
async fn what_a_consumer_fails_with_a_long_answer_is_processed_by_another() -> Result<()> {
    let endless = Reply::Answer(500, Vec::new(), "x".repeat(200_000));
    expect_all_processed_beside_one_that_answers(endless, &[]).await
}

#[tokio::test]
async fn what_a_busy_consumer_puts_off_is_processed_by_another() -> Result<()> {
    for status in [429, 503] {
        let busy = Reply::retry_after(status, 3600);
        expect_all_processed_beside_one_that_answers(busy, &[]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_busy_consumer_is_left_alone_for_as_long_as_it_asks() -> Result<()> {
    let scene = scene(&["--maxInFlightPerConsumer", "1"]).await?;
    let busy = FakeConsumer::join(&scene.group, Reply::retry_after(503, 3600)).await?;
    let mut published = 0;
    while busy.received()?.is_empty() {
        scene.bus.publish_id(&format!("first {published}")).await?;
        published += 1;
        scene.bus.wait_for_processed(published).await?;
    }
    let ids: Vec<_> = (0..MESSAGES)
        .map(|number| format!("more {number}"))
        .collect();
    scene.bus.publish_ids(&ids).await?;
    scene.bus.wait_for_processed(published + MESSAGES).await?;
    assert_eq!(busy.received()?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn what_a_consumer_is_not_there_for_goes_to_another_and_it_leaves_the_list() -> Result<()> {
    let scene = scene(&[]).await?;
    let consumer = FakeConsumer::join(&scene.group, Reply::status(200)).await?;
    let id = consumer.id();
    drop(consumer);
    scene.expect_all_processed().await?;
    let removed = format!(r#""consumer.id":"{id}","cause":"nothing listens there""#);
    scene.group.wait_for_log(&removed, PATIENCE).await?;
    assert!(!scene.bus.members().await?.contains(&id));
    Ok(())
}

#[tokio::test]
async fn a_failed_attempt_goes_to_each_other_consumer_before_one_is_tried_again() -> Result<()> {
    let redis = redis().await?;
    let group = group(&redis, &["--maxAttempts", "3"]).await?;
    let bus = Bus::of(&redis);
    let mut consumers = Vec::new();
    for _ in 0..3 {
        consumers.push(FakeConsumer::join(&group, Reply::status(500)).await?);
    }
    // Four failures do not eject a consumer yet.
    let ids: Vec<_> = (0..4).map(|number| format!("m{number}")).collect();
    bus.publish_ids(&ids).await?;
    bus.wait_for_failed(4).await?;
    for consumer in &consumers {
        let mut received = consumer.received()?;
        received.sort_unstable();
        assert_eq!(received, ids, "each message once");
    }
    Ok(())
}

#[tokio::test]
async fn an_outage_of_all_consumers_for_some_seconds_loses_nothing() -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    let mut consumers = Vec::new();
    for _ in 0..2 {
        consumers.push(FakeConsumer::join(&group, Reply::status(500)).await?);
    }
    let mut ledger = Ledger::default();
    // Published steadily for three seconds, in all of which nobody is well.
    ledger.publish_steadily(&bus, 300, 100).await;
    assert_eq!(ledger.heard(), 300);
    for consumer in &consumers {
        consumer.answer_messages(Reply::status(200));
    }
    wait_for_account(&group, 300, 0).await?;
    assert!(bus.failed().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn consumers_that_were_all_away_for_some_seconds_get_what_was_published_meanwhile()
-> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    let mut consumer = services::consumer(&redis, &group, &[]).await?;
    consumer.kill().await?;
    let mut ledger = Ledger::default();
    ledger.publish_steadily(&bus, 100, 50).await;
    let _another = services::consumer(&redis, &group, &[]).await?;
    let account = ledger.wait_until_settled(&bus).await?;
    assert_eq!(account.processed.len(), 100, "{:?}", account.failed);
    Ok(())
}

#[tokio::test]
async fn a_slow_consumer_does_not_hold_up_the_others() -> Result<()> {
    let scene = scene(&["--attemptTimeoutMs", "60000"]).await?;
    let stuck = FakeConsumer::join(&scene.group, Reply::Silence).await?;
    let ids: Vec<_> = (0..2000).map(|number| number.to_string()).collect();
    scene.bus.publish_ids(&ids).await?;
    // No more than 64 requests to a consumer are under way.
    let entries = scene.bus.wait_for_processed(2000 - 64).await?;
    assert!(entries.len() >= 2000 - 64);
    wait_until("the stuck one to be tried", PATIENCE, async || {
        Ok(!stuck.received()?.is_empty())
    })
    .await
}

#[tokio::test]
async fn messages_that_wait_for_a_consumer_without_room_do_not_stop_the_group() -> Result<()> {
    let redis = redis().await?;
    let args = [
        "--maxInFlightPerConsumer",
        "1",
        "--attemptTimeoutMs",
        "600000",
        "--shutdownGraceSeconds",
        "1",
    ];
    let (mut group, bus) = (group(&redis, &args).await?, Bus::of(&redis));
    let stuck = FakeConsumer::join(&group, Reply::Silence).await?;
    let failing = FakeConsumer::join(&group, Reply::status(500)).await?;
    let mut ledger = Ledger::default();
    ledger.publish(&bus, 500).await;
    // What one failed waits for the other, which takes no more.
    wait_until("both to be tried", PATIENCE, async || {
        Ok(!stuck.received()?.is_empty() && failing.received()?.len() >= 5)
    })
    .await?;
    let mut used = Vec::new();
    for _ in 0..2 {
        let (log, mark) = (group.log(), group.log().mark());
        log.wait_for_since(mark, "throughput", PATIENCE).await?;
        used.push(group.cpu_time()?);
    }
    // Three seconds lie between; one that spins uses all of them.
    let busy = used[1] - used[0];
    assert!(busy < Duration::from_secs(1), "it was busy for {busy:?}");
    assert_eq!(group.terminate(PATIENCE).await?.code(), Some(0));
    assert_eq!(bus.finished().await? + bus.queue_length().await?, 500);
    assert!(bus.processed().await?.is_empty());
    Ok(())
}
