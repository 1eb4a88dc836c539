//! `GET /status`: the account of all messages and the states of the consumers.

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use harness::{
    Auditor, Bus, FakeConsumer, PATIENCE, Reply, Service, calls,
    services::{self, group, redis},
    status::{adds_up, status, wait_for_status},
    wait_until,
};
use serde_json::{Value, json};

#[tokio::test]
async fn an_idle_group_tells_of_itself() -> Result<()> {
    let redis = redis().await?;
    let group = group(&redis, &[]).await?;
    let mut status = status(&group).await?;
    let body = status.as_object_mut().context("no object")?;
    let uptime = body.remove("uptime_seconds");
    assert!(uptime.is_some_and(|uptime| uptime.as_u64() < Some(60)));
    let version = body.remove("version");
    assert!(version.is_some_and(|version| version.is_string()));
    let expected = json!({
        "received": 0, "processed": 0, "duplicate": 0, "dead_lettered": 0,
        "in_flight": 0, "queued": 0, "buffered": 0, "subscription_gaps": 0, "subscription_gap_seconds": 0.0,
        "subscribed": true, "consumers": [],
    });
    assert_eq!(status, expected);
    assert_eq!(calls::call(&group, "POST", "/status").await?.status, 405);
    Ok(())
}

/// Messages of every ending, with the account looked at meanwhile.
#[tokio::test]
async fn the_account_adds_up_at_every_look() -> Result<()> {
    let redis = redis().await?;
    let args = ["--maxAttempts", "2", "--attemptTimeoutMs", "500"];
    let (group, bus) = (group(&redis, &args).await?, Bus::of(&redis));
    let auditor = Auditor::of(&[&group]);
    // Its word counts once it has delivered something.
    let rejecting = FakeConsumer::join(&group, Reply::status(200)).await?;
    bus.publish_id("first").await?;
    wait_for_status(&group, &json!({ "processed": 1 })).await?;
    rejecting.answer_messages(Reply::status(422));
    let _slow = services::consumer(&redis, &group, &["--processingDelayMs", "30"]).await?;
    let _well = services::consumer(&redis, &group, &[]).await?;
    let _silent = FakeConsumer::join(&group, Reply::Silence).await?;
    let _failing = FakeConsumer::join(&group, Reply::status(500)).await?;
    for round in 0..10 {
        let ids: Vec<_> = (0..100).map(|number| format!("{round} {number}")).collect();
        bus.publish_ids(&ids).await?;
        bus.publish(format!("garbage {round}")).await?;
        bus.publish_id("again and again").await?;
    }
    wait_until("all to be finished", PATIENCE, async || {
        let status = status(&group).await?;
        let left = ["in_flight", "queued", "buffered"].map(|state| status[state].as_u64());
        Ok(status["received"] == 1021 && left == [Some(0); 3])
    })
    .await?;
    let (status, looks) = (status(&group).await?, auditor.looks()?);
    assert!(adds_up(&status), "{status}");
    assert!(looks > 10, "{looks}");
    assert_eq!(status["dead_lettered"], bus.failed().await?.len());
    assert!(status["processed"].as_u64() > Some(0), "{status}");
    assert!(status["dead_lettered"].as_u64() > Some(10), "{status}");
    Ok(())
}

#[tokio::test]
async fn what_waits_and_what_is_under_way_are_told_apart() -> Result<()> {
    let redis = redis().await?;
    let args = ["--attemptTimeoutMs", "60000"];
    let (group, bus) = (group(&redis, &args).await?, Bus::of(&redis));
    let ids: Vec<_> = (0..20).map(|number| number.to_string()).collect();
    bus.publish_ids(&ids).await?;
    let waiting = json!({ "received": 20, "queued": 20, "in_flight": 0, "processed": 0 });
    wait_for_status(&group, &waiting).await?;
    let _silent = FakeConsumer::join(&group, Reply::Silence).await?;
    let under_way = json!({ "received": 20, "queued": 0, "in_flight": 20, "processed": 0 });
    wait_for_status(&group, &under_way).await?;
    Ok(())
}

/// The states of the consumers of a group, in order of their ids.
async fn states(group: &Service) -> Result<Value> {
    let mut consumers = status(group).await?["consumers"].take();
    if let Some(consumers) = consumers.as_array_mut() {
        for consumer in &mut *consumers {
            *consumer =
                json!({ "consumer_id": consumer["consumer_id"], "state": consumer["state"] });
        }
        consumers.sort_by_key(|consumer| consumer["consumer_id"].to_string());
    }
    Ok(consumers)
}

#[tokio::test]
async fn consumers_are_active_or_ejected_or_draining() -> Result<()> {
    let redis = redis().await?;
    let args = ["--attemptTimeoutMs", "60000"];
    let (group, bus) = (group(&redis, &args).await?, Bus::of(&redis));
    let consumer = FakeConsumer::join(&group, Reply::Silence).await?;
    let state = |state: &str| json!([{ "consumer_id": consumer.id(), "state": state }]);
    assert_eq!(states(&group).await?, state("active"));

    bus.publish_id("m").await?;
    wait_until("the message to be under way", PATIENCE, async || {
        Ok(consumer.received()?.len() == 1)
    })
    .await?;
    calls::unregister(&group, &consumer.id()).await?;
    wait_until("it to be draining", PATIENCE, async || {
        Ok(states(&group).await? == state("draining"))
    })
    .await?;

    let busy = FakeConsumer::join(&group, Reply::retry_after(503, 3600)).await?;
    let well = FakeConsumer::join(&group, Reply::status(200)).await?;
    let number = AtomicU32::new(0);
    wait_until("the busy one to be ejected", PATIENCE, async || {
        let number = number.fetch_add(1, Ordering::Relaxed);
        bus.publish_id(&format!("more {number}")).await?;
        let states = states(&group).await?;
        let states = states.as_array().map(Vec::as_slice).unwrap_or_default();
        let is = |id: &str, state: &str| {
            let expected = json!({ "consumer_id": id, "state": state });
            states.contains(&expected)
        };
        Ok(is(&busy.id(), "ejected") && is(&well.id(), "active") && states.len() == 3)
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn consumers_that_left_are_told_of_no_longer_once_they_are_done() -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    let mut leaving = services::consumer(&redis, &group, &[]).await?;
    let mut dying = services::consumer(&redis, &group, &[]).await?;
    let ids: Vec<_> = (0..100).map(|number| number.to_string()).collect();
    bus.publish_ids(&ids).await?;
    bus.wait_for_processed(100).await?;
    leaving.terminate(PATIENCE).await?;
    dying.kill().await?;
    calls::unregister(&group, &services::id_of(&dying)?).await?;
    wait_for_status(&group, &json!({ "consumers": [] })).await
}

#[tokio::test]
async fn a_subscription_that_was_interrupted_is_counted() -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    for gaps in 1..3 {
        bus.command::<u64>(&["CLIENT", "KILL", "TYPE", "pubsub"])
            .await?;
        wait_for_status(&group, &json!({ "subscription_gaps": gaps })).await?;
        wait_until("the group to listen again", PATIENCE, async || {
            Ok(bus.publish_id("m").await? == 1)
        })
        .await?;
    }
    Ok(())
}

#[tokio::test]
async fn without_redis_there_is_a_reference_instead_of_the_account() -> Result<()> {
    let mut redis = redis().await?;
    let group = group(&redis, &[]).await?;
    redis.kill().await?;
    let answer = calls::get(&group, "/status").await?;
    assert_eq!(answer.status, 500);
    let reference = answer.reference("Failed to read the status!")?;
    group.wait_for_log(&reference, PATIENCE).await?;
    redis.start_again().await?;
    wait_for_status(&group, &json!({ "received": 0 })).await
}
