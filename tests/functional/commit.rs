//! One entry for each message id, however often and wherever a message is processed.

use std::time::Instant;

use anyhow::{Result, ensure};
use harness::{
    Bus, FakeConsumer, PATIENCE, Reply, Service,
    calls::{post_to, process_message},
    services::{group, redis},
    status::wait_for_status,
    wait_until,
};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::process_message::lonely_consumer;

/// Posts the same message to consumers, so many times at once; says how often it was recorded and how
/// often it was known.
async fn post_at_once(consumers: &[&Service], id: &str, times: usize) -> Result<(usize, usize)> {
    let mut posting = JoinSet::new();
    for consumer in consumers.iter().cycle().take(times) {
        let url = consumer.url("/processMessage");
        let message = json!({ "message_id": id });
        posting.spawn(async move { post_to(&url, &message).await });
    }
    let (mut created, mut duplicate) = (0, 0);
    while let Some(answer) = posting.join_next().await {
        let answer = answer??;
        assert_eq!(answer.status, 200, "{answer:?}");
        let expected = format!("Message with id {id} was processed successfully.");
        assert_eq!(answer.body["message"], expected);
        if answer.body["result"].is_null() {
            created += 1;
        } else {
            assert_eq!(answer.body["result"], "duplicate");
            duplicate += 1;
        }
    }
    Ok((created, duplicate))
}

#[tokio::test]
async fn an_id_posted_a_thousand_times_at_once_to_two_consumers_is_one_entry() -> Result<()> {
    let redis = redis().await?;
    let bus = Bus::of(&redis);
    let [one, two] = [
        lonely_consumer(redis.port(), &[]).await?,
        lonely_consumer(redis.port(), &[]).await?,
    ];
    for round in 0..10 {
        let results = post_at_once(&[&one, &two], "m", 100).await?;
        let expected = if round == 0 { (1, 99) } else { (0, 100) };
        assert_eq!(results, expected, "round {round}");
        if round == 5 {
            bus.command::<()>(&["SCRIPT", "FLUSH", "SYNC"]).await?;
        }
    }
    assert_eq!(post_at_once(&[&one, &two], "n", 100).await?, (1, 99));
    assert_eq!(harness::bus::ids(&bus.processed().await?)?, ["m", "n"]);
    Ok(())
}

#[tokio::test]
async fn ids_are_told_apart_byte_by_byte() -> Result<()> {
    let redis = redis().await?;
    let (consumer, bus) = (lonely_consumer(redis.port(), &[]).await?, Bus::of(&redis));
    let long = "x".repeat(255);
    let ids = [
        "a",
        "A",
        "a\n",
        "\na",
        "a\0",
        "a\0b",
        " a",
        "{}",
        "{a}",
        "💡",
        "e\u{301}",
        "é",
        "þ",
        "ÿ",
        "0",
        "00",
        "-1",
        &format!("{long}a"),
        &format!("{long}b"),
    ];
    for times in 0..3 {
        for id in ids {
            let answer = process_message(&consumer, &json!({ "message_id": id })).await?;
            assert_eq!(answer.status, 200, "{id:?}");
            let is_duplicate = answer.body["result"] == "duplicate";
            assert_eq!(is_duplicate, times > 0, "{id:?}: {answer:?}");
        }
    }
    assert_eq!(harness::bus::ids(&bus.processed().await?)?, ids);
    Ok(())
}

#[tokio::test]
async fn a_replayed_id_with_another_body_keeps_the_first_entry() -> Result<()> {
    let redis = redis().await?;
    let (consumer, bus) = (lonely_consumer(redis.port(), &[]).await?, Bus::of(&redis));
    for text in ["first", "second"] {
        process_message(&consumer, &json!({ "message_id": "m", "text": text })).await?;
    }
    let entries = bus.processed().await?;
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].text("text")?, "first");
    Ok(())
}

/// A message that becomes an entry of so many fields.
fn message_of_fields(id: &str, fields: usize) -> Value {
    // The id, the consumer and the time are three, and the sample processor adds one.
    let properties = (0..fields - 4).map(|number| (format!("p{number}"), json!("")));
    let mut message: serde_json::Map<_, _> = properties.collect();
    message.insert("message_id".to_owned(), json!(id));
    Value::Object(message)
}

#[tokio::test]
async fn a_message_of_more_fields_than_an_entry_may_have_is_the_messages_fault() -> Result<()> {
    let redis = redis().await?;
    let (consumer, bus) = (lonely_consumer(redis.port(), &[]).await?, Bus::of(&redis));
    let answer = process_message(&consumer, &message_of_fields("most", 3900)).await?;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(bus.processed().await?[0].names().len(), 3900);
    let answer = process_message(&consumer, &message_of_fields("more", 3901)).await?;
    assert_eq!(answer.status, 422);
    assert!(answer.error()?.contains("3900"), "{answer:?}");
    assert_eq!(bus.processed().await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn what_has_too_many_fields_is_a_dead_letter() -> Result<()> {
    let redis = redis().await?;
    let bus = Bus::of(&redis);
    let group = group(&redis, &[]).await?;
    let _consumer = harness::services::consumer(&redis, &group, &[]).await?;
    let payload = message_of_fields("many", 5000).to_string();
    bus.publish(&payload).await?;
    let failed = bus.wait_for_failed(1).await?;
    assert_eq!(failed[0].text("reason")?, "rejected");
    assert_eq!(failed[0].text("attempts")?, "1");
    assert_eq!(failed[0].text("payload")?, payload);
    wait_for_status(&group, &json!({ "dead_lettered": 1, "in_flight": 0 })).await
}

/// Brings a message until it is committed: on a busy machine Redis may not take it in time.
async fn bring(url: String, message: Value) -> Result<()> {
    let give_up = Instant::now() + PATIENCE;
    while post_to(&url, &message).await?.status != 200 {
        ensure!(Instant::now() < give_up, "it was not committed in time");
    }
    Ok(())
}

#[tokio::test]
async fn messages_of_very_many_fields_are_committed_however_many_come_at_once() -> Result<()> {
    let redis = redis().await?;
    let (consumer, bus) = (lonely_consumer(redis.port(), &[]).await?, Bus::of(&redis));
    let mut posting = JoinSet::new();
    for number in 0..100 {
        let url = consumer.url("/processMessage");
        let message = message_of_fields(&number.to_string(), 3900);
        posting.spawn(bring(url, message));
    }
    while let Some(committed) = posting.join_next().await {
        committed??;
    }
    assert_eq!(
        bus.command::<u64>(&["XLEN", "messages:processed"]).await?,
        100
    );
    Ok(())
}

#[tokio::test]
async fn an_answer_lost_after_the_commit_leaves_one_entry_and_counts_as_processed() -> Result<()> {
    let redis = redis().await?;
    let bus = Bus::of(&redis);
    let group = group(&redis, &[]).await?;
    let real = lonely_consumer(redis.port(), &[]).await?;
    let unlucky = FakeConsumer::join(&group, Reply::Swallowed(real.url("/processMessage"))).await?;
    let ids: Vec<_> = (0..50).map(|number| number.to_string()).collect();
    bus.publish_ids(&ids).await?;
    wait_until("all to be committed unheard", PATIENCE, async || {
        Ok(bus.finished().await? == 50)
    })
    .await?;
    unlucky.answer_messages(Reply::Relayed(real.url("/processMessage")));
    let expected = json!({ "received": 50, "processed": 50, "duplicate": 0 });
    wait_for_status(&group, &expected).await?;
    assert_eq!(bus.processed().await?.len(), 50);
    assert!(bus.failed().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_message_published_twice_is_counted_as_a_duplicate() -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    let _consumer = harness::services::consumer(&redis, &group, &[]).await?;
    for _ in 0..3 {
        bus.publish_id("m").await?;
    }
    wait_for_status(&group, &json!({ "processed": 1, "duplicate": 2 })).await?;
    assert_eq!(bus.processed().await?.len(), 1);
    Ok(())
}
