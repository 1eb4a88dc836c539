//! Each message is handed to exactly one consumer, picked at random.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicUsize, Ordering},
};

use anyhow::Result;
use harness::{
    Bus, FakeConsumer, Ledger, PATIENCE, Reply, Stack, StackOptions, bus,
    services::{group, redis, wait_for_account},
    wait_until,
};

#[tokio::test]
async fn every_message_reaches_exactly_one_consumer() -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    let mut consumers = Vec::new();
    for _ in 0..3 {
        consumers.push(FakeConsumer::join(&group, Reply::status(200)).await?);
    }
    let ids: Vec<_> = (0..1000).map(|number| format!("m{number:04}")).collect();
    bus.publish_ids(&ids).await?;
    wait_for_account(&group, 1000, 0).await?;
    let mut received = Vec::new();
    for consumer in &consumers {
        let share = consumer.received()?;
        assert!(!share.is_empty());
        received.extend(share);
    }
    received.sort_unstable();
    assert_eq!(received, ids);
    Ok(())
}

#[tokio::test]
async fn consumers_are_picked_evenly() -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    let mut consumers = Vec::new();
    for _ in 0..3 {
        consumers.push(FakeConsumer::join(&group, Reply::status(200)).await?);
    }
    Ledger::default().publish_steadily(&bus, 900, 300).await;
    wait_for_account(&group, 900, 0).await?;
    let mut chi_square = 0.0;
    for consumer in &consumers {
        let share = f64::from(u32::try_from(consumer.received()?.len())?);
        chi_square += (share - 300.0).powi(2) / 300.0;
    }
    // Two degrees of freedom: a fair choice exceeds this once in three million runs.
    assert!(chi_square < 30.0, "{chi_square}");
    Ok(())
}

#[tokio::test]
async fn a_message_travels_byte_for_byte() -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    let server = harness::FakeServer::start(|_| Reply::status(200)).await?;
    harness::calls::register(&group, &server.address()).await?;
    let payload = " {\"b\":1.0, \"message_id\" : \"\\u0061\",\n\"a\":[1e3,\"ü\"]}\n";
    bus.publish(payload).await?;
    wait_until("the message to be delivered", PATIENCE, async || {
        Ok(!server.requests("/processMessage").is_empty())
    })
    .await?;
    let request = &server.requests("/processMessage")[0];
    assert_eq!(request.method, "POST");
    assert_eq!(String::from_utf8_lossy(&request.body), payload);
    Ok(())
}

#[tokio::test]
async fn with_real_consumers_every_message_is_one_entry_of_one_of_them() -> Result<()> {
    let stack = Stack::start(StackOptions {
        consumers: 3,
        ..StackOptions::default()
    })
    .await?;
    let bus = Bus::of(&stack.redis);
    let ids: Vec<_> = (0..1000).map(|number| format!("m{number:04}")).collect();
    bus.publish_ids(&ids).await?;
    let entries = bus.wait_for_processed(1000).await?;
    let mut processed = bus::ids(&entries)?;
    processed.sort_unstable();
    assert_eq!(processed, ids);
    let mut by = BTreeSet::new();
    for entry in &entries {
        by.insert(entry.text("consumer_id")?);
    }
    let all: BTreeSet<_> = bus.members().await?.into_iter().collect();
    assert_eq!(by, all);
    wait_for_account(&stack.group, 1000, 0).await
}

#[tokio::test]
async fn messages_wait_while_nobody_is_registered_and_come_when_somebody_is() -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    for number in 0..50 {
        assert_eq!(bus.publish_id(&format!("m{number}")).await?, 1);
    }
    let consumer = FakeConsumer::join(&group, Reply::status(200)).await?;
    wait_until("all that waited to be delivered", PATIENCE, async || {
        Ok(consumer.received()?.len() == 50)
    })
    .await?;
    let mut received = consumer.received()?;
    received.sort_unstable();
    received.dedup();
    assert_eq!(received.len(), 50);
    assert!(bus.failed().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_consumer_is_given_no_more_at_once_than_the_setting_says() -> Result<()> {
    let redis = redis().await?;
    let args = [
        "--maxInFlightPerConsumer",
        "2",
        "--attemptTimeoutMs",
        "60000",
    ];
    let (group, bus) = (group(&redis, &args).await?, Bus::of(&redis));
    let stuck = FakeConsumer::join(&group, Reply::Silence).await?;
    let well = FakeConsumer::join(&group, Reply::status(200)).await?;
    // One that says nothing of how many it takes is given another while the first hangs.
    let published = AtomicUsize::new(0);
    wait_until("as many as may hang to hang", PATIENCE, async || {
        let number = published.fetch_add(1, Ordering::Relaxed);
        bus.publish_id(&number.to_string()).await?;
        Ok(stuck.received()?.len() == 2)
    })
    .await?;
    let more: Vec<_> = (0..500).map(|number| format!("more{number}")).collect();
    bus.publish_ids(&more).await?;
    let rest = published.into_inner() + 500 - 2;
    wait_until("the other to get the rest", PATIENCE, async || {
        Ok(well.received()?.len() == rest)
    })
    .await?;
    assert_eq!(stuck.received()?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_consumer_that_closes_each_connection_is_given_each_message_once() -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    let closes = vec!["Connection: close".to_owned()];
    let reply = Reply::Answer(200, closes, "{}".to_owned());
    let consumer = FakeConsumer::join(&group, reply).await?;
    let ids: Vec<_> = (0..100).map(|number| format!("m{number:04}")).collect();
    bus.publish_ids(&ids).await?;
    wait_for_account(&group, 100, 0).await?;
    let mut received = consumer.received()?;
    received.sort_unstable();
    assert_eq!(received, ids);
    let status = harness::status::status(&group).await?;
    let outcomes = &status["consumers"][0]["outcomes"];
    assert_eq!(outcomes["delivered"], 100, "{outcomes}");
    assert_eq!(outcomes["timed_out"], 0, "{outcomes}");
    Ok(())
}
