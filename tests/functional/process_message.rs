//! `POST /processMessage` and `GET /health` of a consumer, and the entry that comes of a message.

use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use harness::{
    Bus, Entry, PATIENCE, Service,
    calls::{self, ok, post_raw, process_message},
    services::{binaries, redis},
};
use serde_json::json;

/// A consumer whose group does not exist: it answers all the same.
pub(crate) async fn lonely_consumer(bus_port: u16, args: &[&str]) -> Result<Service> {
    let redis_port = bus_port.to_string();
    let own = [
        "--restApiPort",
        "0",
        "--redisServerPort",
        &redis_port,
        "--consumerGroupAppPort",
        "1",
    ];
    Service::start(&binaries().await?.consumer, &[&own, args].concat(), &[]).await
}

#[tokio::test]
async fn a_consumer_says_that_it_is_running() -> Result<()> {
    let redis = redis().await?;
    let consumer = lonely_consumer(redis.port(), &[]).await?;
    let health = calls::get(&consumer, "/health").await?;
    assert_eq!(health.status, 200);
    assert_eq!(health.body["message"], "Application is running");
    Ok(())
}

#[tokio::test]
async fn a_message_becomes_a_flat_entry_with_one_random_property() -> Result<()> {
    let redis = redis().await?;
    let (consumer, bus) = (lonely_consumer(redis.port(), &[]).await?, Bus::of(&redis));
    let before = SystemTime::now() - Duration::from_millis(1);
    let message = json!({
        "text": "as \"it\" is\nü",
        "message_id": "the id",
        "number": 1.5,
        "truth": true,
        "nothing": null,
        "list": [1, "two", {"three": 3}],
        "object": {"a": {"b": "c"}},
        "": "no name",
    });
    let answer = process_message(&consumer, &message).await?;
    let expected = "Message with id the id was processed successfully.";
    assert_eq!(answer, ok(expected));

    let entries = bus.wait_for_processed(1).await?;
    let [entry] = &entries[..] else {
        panic!("more than one entry: {entries:?}");
    };
    assert_eq!(entry.text("message_id")?, "the id");
    assert_eq!(entry.text("consumer_id")?, consumer.address());
    expect_time(entry, before)?;
    assert_eq!(entry.text("text")?, "as \"it\" is\nü");
    assert_eq!(entry.text("number")?, "1.5");
    assert_eq!(entry.text("truth")?, "true");
    assert_eq!(entry.text("nothing")?, "null");
    assert_eq!(entry.text("")?, "no name");
    for name in ["list", "object"] {
        assert_eq!(harness::bus::json(entry, name)?, message[name]);
    }
    let ours = ["message_id", "consumer_id", "processed_at"];
    let is_new = |name: &&str| !ours.contains(name) && message.get(name).is_none();
    let names = entry.names();
    let random: Vec<_> = names.iter().copied().filter(|name| is_new(name)).collect();
    let [random] = random[..] else {
        panic!("not one random property: {random:?}");
    };
    assert!(!entry.text(random)?.is_empty());
    Ok(())
}

/// RFC 3339 in UTC with milliseconds, not before the test began and not in the future.
fn expect_time(entry: &Entry, before: SystemTime) -> Result<()> {
    let at = entry.text("processed_at")?;
    assert_eq!(at.len(), "2026-01-01T00:00:00.000Z".len(), "{at}");
    let time = humantime::parse_rfc3339(&at).context(at)?;
    assert!(time >= before && time <= SystemTime::now());
    Ok(())
}

#[tokio::test]
async fn the_random_property_differs_from_message_to_message() -> Result<()> {
    let redis = redis().await?;
    let (consumer, bus) = (lonely_consumer(redis.port(), &[]).await?, Bus::of(&redis));
    for id in ["a", "b"] {
        process_message(&consumer, &json!({ "message_id": id })).await?;
    }
    let entries = bus.wait_for_processed(2).await?;
    assert_eq!(entries[0].names().len(), 4);
    assert_ne!(entries[0].names(), entries[1].names());
    Ok(())
}

#[tokio::test]
async fn a_property_that_collides_with_a_name_of_ours_is_kept_under_another() -> Result<()> {
    let redis = redis().await?;
    let (consumer, bus) = (lonely_consumer(redis.port(), &[]).await?, Bus::of(&redis));
    let message = json!({
        "message_id": "m",
        "consumer_id": "not mine",
        "processed_at": 7,
        "message.consumer_id": "taken, too",
    });
    process_message(&consumer, &message).await?;
    let entry = &bus.wait_for_processed(1).await?[0];
    assert_eq!(entry.text("consumer_id")?, consumer.address());
    assert_eq!(entry.text("message.processed_at")?, "7");
    let kept = [
        entry.text("message.consumer_id")?,
        entry.text("message.message.consumer_id")?,
    ];
    assert_eq!(kept, ["not mine", "taken, too"]);
    assert_eq!(entry.names().len(), 7, "{:?}", entry.names());
    Ok(())
}

#[tokio::test]
async fn an_id_may_be_of_any_text_up_to_256_bytes() -> Result<()> {
    let redis = redis().await?;
    let (consumer, bus) = (lonely_consumer(redis.port(), &[]).await?, Bus::of(&redis));
    let ids = [
        "x".repeat(256),
        "ü".repeat(128),
        "\u{0}\n\"' {}".to_owned(),
        " ".to_owned(),
    ];
    for id in &ids {
        let answer = process_message(&consumer, &json!({ "message_id": id })).await?;
        let expected = format!("Message with id {id} was processed successfully.");
        assert_eq!(answer, ok(&expected));
    }
    let entries = bus.wait_for_processed(ids.len()).await?;
    assert_eq!(harness::bus::ids(&entries)?, ids);
    Ok(())
}

#[tokio::test]
async fn a_message_of_one_mebibyte_is_processed_whole() -> Result<()> {
    let redis = redis().await?;
    let (consumer, bus) = (lonely_consumer(redis.port(), &[]).await?, Bus::of(&redis));
    let body = message_of(1 << 20);
    let answer = post_raw(&consumer, "/processMessage", Some("application/json"), body).await?;
    assert_eq!(answer.status, 200);
    let entry = &bus.wait_for_processed(1).await?[0];
    assert_eq!(entry.bytes("fill")?.len(), (1 << 20) - message_of(0).len());
    Ok(())
}

/// A message of so many bytes, or the least there can be.
pub(crate) fn message_of(bytes: usize) -> String {
    let message = |fill: &str| format!(r#"{{"message_id":"m","fill":"{fill}"}}"#);
    message(&"x".repeat(bytes.saturating_sub(message("").len())))
}

#[tokio::test]
async fn a_content_type_with_parameters_is_json_too() -> Result<()> {
    let redis = redis().await?;
    let consumer = lonely_consumer(redis.port(), &[]).await?;
    let content_type = Some("application/json; charset=utf-8");
    let body = r#"{"message_id":"m"}"#;
    let answer = post_raw(&consumer, "/processMessage", content_type, body).await?;
    assert_eq!(answer.status, 200);
    Ok(())
}

#[tokio::test]
async fn no_more_messages_are_processed_at_once_than_the_setting_says() -> Result<()> {
    let redis = redis().await?;
    let args = ["--processingConcurrency", "1", "--processingDelayMs", "300"];
    let consumer = lonely_consumer(redis.port(), &args).await?;
    let calls = ["a", "b", "c"].map(|id| json!({ "message_id": id }));
    let [a, b, c] = &calls;
    tokio::try_join!(
        process_message(&consumer, a),
        process_message(&consumer, b),
        process_message(&consumer, c),
    )?;
    let entries = Bus::of(&redis).wait_for_processed(3).await?;
    let mut times = Vec::new();
    for entry in &entries {
        times.push(humantime::parse_rfc3339(&entry.text("processed_at")?)?);
    }
    times.sort_unstable();
    // Each took its 300 ms after the one before; the clock of the entry is cut to milliseconds.
    for pair in times.windows(2) {
        let between = pair[1].duration_since(pair[0])?;
        assert!(between >= Duration::from_millis(295), "{between:?}");
    }
    Ok(())
}

#[tokio::test]
async fn the_processing_delay_does_not_hold_up_the_health_check() -> Result<()> {
    let redis = redis().await?;
    let args = [
        "--processingConcurrency",
        "1",
        "--processingDelayMs",
        "60000",
    ];
    let consumer = lonely_consumer(redis.port(), &args).await?;
    let message = json!({ "message_id": "m" });
    tokio::select! {
        answer = process_message(&consumer, &message) => panic!("too early: {answer:?}"),
        health = calls::get(&consumer, "/health") => assert_eq!(health?.status, 200),
        () = tokio::time::sleep(PATIENCE) => panic!("no answer to the health check"),
    }
    Ok(())
}
