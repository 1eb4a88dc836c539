//! The stream `{messages:processed}:failed`: what no consumer could take, with all it takes to replay it.

use anyhow::Result;
use harness::{
    Bus, FakeConsumer, PATIENCE, Reply, bus,
    services::{group, redis, wait_for_account},
    status::wait_for_status,
};
use serde_json::json;

#[tokio::test]
async fn what_a_consumer_calls_the_messages_fault_goes_there_at_once() -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    let consumer = FakeConsumer::join(&group, Reply::status(200)).await?;
    let statuses = [400_u16, 413, 422];
    for (count, status) in statuses.iter().enumerate() {
        let body = json!({ "error": "no, thank you" });
        consumer.answer_messages(Reply::json(*status, &body));
        let payload = format!(r#"{{ "message_id" : "{status}", "n" : 1 }}"#);
        bus.publish(&payload).await?;
        let failed = bus.wait_for_failed(count + 1).await?;
        let entry = &failed[count];
        assert_eq!(entry.text("message_id")?, status.to_string());
        assert_eq!(entry.text("reason")?, "rejected");
        assert_eq!(entry.text("attempts")?, "1");
        let error = entry.text("last_error")?;
        assert!(error.contains(&status.to_string()), "{error}");
        assert!(error.contains("no, thank you"), "{error}");
        assert_eq!(entry.text("payload")?, payload, "byte for byte");
        assert_eq!(entry.text("payload_bytes")?, payload.len().to_string());
        humantime::parse_rfc3339(&entry.text("failed_at")?)?;
    }
    assert_eq!(
        consumer.received()?.len(),
        statuses.len(),
        "one attempt each"
    );
    Ok(())
}

#[tokio::test]
async fn when_all_consumers_fail_each_message_goes_there_once_after_its_attempts() -> Result<()> {
    let redis = redis().await?;
    let group = group(&redis, &["--maxAttempts", "3"]).await?;
    let bus = Bus::of(&redis);
    let consumers = [
        FakeConsumer::join(&group, Reply::status(500)).await?,
        FakeConsumer::join(&group, Reply::status(500)).await?,
    ];
    let ids: Vec<_> = (0..20).map(|n| n.to_string()).collect();
    bus.publish_ids(&ids).await?;
    wait_for_account(&group, 0, 20).await?;
    let failed = bus.failed().await?;
    let mut failed_ids = bus::ids(&failed)?;
    failed_ids.sort_unstable_by_key(|id| id.parse::<u32>().unwrap_or_default());
    assert_eq!(failed_ids, ids);
    for entry in &failed {
        assert_eq!(entry.text("reason")?, "attempts_exhausted");
        assert_eq!(entry.text("attempts")?, "3");
        assert!(entry.text("last_error")?.contains("500"));
    }
    let mut received = consumers[0].received()?;
    received.extend(consumers[1].received()?);
    for id in &ids {
        let attempts = received.iter().filter(|received| *received == id).count();
        assert_eq!(attempts, 3, "message {id}");
    }
    Ok(())
}

#[tokio::test]
async fn time_without_any_consumer_does_not_count_against_a_message() -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    bus.publish_id("m").await?;
    // Two lines of throughput are three seconds apart.
    wait_for_status(&group, &json!({ "queued": 1 })).await?;
    let mark = group.log().mark();
    let log = group.log();
    log.wait_for_since(mark, "throughput", PATIENCE).await?;
    let consumer = FakeConsumer::join(&group, Reply::status(200)).await?;
    wait_for_account(&group, 1, 0).await?;
    assert_eq!(consumer.received()?, ["m"]);
    assert!(bus.failed().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn the_log_names_the_message_that_was_given_up() -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    let _consumer = FakeConsumer::join(&group, Reply::status(422)).await?;
    bus.publish_id("order-1").await?;
    let text = "a message went to the dead letters";
    let line = group.wait_for_log(text, PATIENCE).await?;
    assert!(line.contains(r#""message.id":"order-1""#), "{line}");
    Ok(())
}

#[tokio::test]
async fn dead_letters_wait_for_redis_and_are_all_written_when_it_is_back() -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    // Redis refuses to write: the stream's name is taken by something else.
    bus.command::<()>(&["SET", "{messages:processed}:failed", "text"])
        .await?;
    for number in 0..10 {
        bus.publish(format!("bad {number}")).await?;
    }
    let text = "cannot write dead letters";
    let line = group.wait_for_log(text, PATIENCE).await?;
    assert!(line.contains("WRONGTYPE"), "{line}");
    bus.command::<u64>(&["DEL", "{messages:processed}:failed"])
        .await?;
    wait_for_account(&group, 0, 10).await?;
    let failed = bus.wait_for_failed(10).await?;
    let mut payloads = Vec::new();
    for entry in &failed {
        payloads.push(entry.text("payload")?);
    }
    payloads.sort_unstable();
    let expected: Vec<_> = (0..10).map(|number| format!("bad {number}")).collect();
    assert_eq!(payloads, expected, "each once");
    Ok(())
}

#[tokio::test]
async fn without_a_window_a_message_that_fails_again_is_a_dead_letter_again() -> Result<()> {
    for (window, letters) in [("0", 3), ("600", 1)] {
        let redis = redis().await?;
        let args = ["--dedupWindowSeconds", window];
        let (group, bus) = (group(&redis, &args).await?, Bus::of(&redis));
        let _consumer = FakeConsumer::join(&group, Reply::status(422)).await?;
        for _ in 0..3 {
            bus.publish_id("m").await?;
        }
        let expected = json!({ "dead_lettered": letters, "duplicate": 3 - letters });
        wait_for_status(&group, &expected).await?;
        assert_eq!(bus.failed().await?.len(), letters);
    }
    Ok(())
}
