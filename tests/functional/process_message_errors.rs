//! What a consumer refuses, and what it says when it cannot do its work.

use anyhow::Result;
use harness::{
    Bus, PATIENCE, Signal,
    calls::{self, Answer, begin_processing, post_raw, process_message},
    services::redis,
    wait_until,
};
use serde_json::json;

use crate::process_message::{lonely_consumer, message_of};

const JSON: Option<&str> = Some("application/json");

fn expect_refusal(answer: &Answer, what: &str) -> Result<()> {
    assert_eq!(answer.status, 400, "{what}");
    let start = "Provided data does not match requirements. ";
    assert!(answer.error()?.starts_with(start), "{what}: {answer:?}");
    Ok(())
}

#[tokio::test]
async fn a_body_that_is_no_message_is_refused_and_nothing_is_stored() -> Result<()> {
    let redis = redis().await?;
    let consumer = lonely_consumer(redis.port(), &[]).await?;
    let long = json!({ "message_id": "x".repeat(257) }).to_string();
    let (open, close) = ("[".repeat(100_000), "]".repeat(100_000));
    let deep = format!(r#"{{"message_id":"m","deep":{open}{close}}}"#);
    let unclosed = format!(r#"{{"message_id":"m","deep":{open}"#);
    let bodies: [&[u8]; 20] = [
        b"",
        b" ",
        b"not json",
        b"\x00\x01\xff\xfe",
        b"{\"message_id\":\"\xff\"}",
        b"[]",
        b"null",
        b"\"m\"",
        b"{}",
        br#"{"id":"m"}"#,
        br#"{"message_id":7}"#,
        br#"{"message_id":null}"#,
        br#"{"message_id":["m"]}"#,
        br#"{"message_id":""}"#,
        br#"{"message_id":"a","message_id":"b"}"#,
        br#"{"message_id":"m"} {"message_id":"n"}"#,
        br#"{"message_id":"m","lone":"\ud800"}"#,
        long.as_bytes(),
        deep.as_bytes(),
        unclosed.as_bytes(),
    ];
    for body in bodies {
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        let answer = post_raw(&consumer, "/processMessage", JSON, body.to_vec()).await?;
        expect_refusal(&answer, &shown)?;
    }
    let answer = process_message(&consumer, &json!({ "message_id": "good" })).await?;
    assert_eq!(answer.status, 200, "it lives on");
    let entries = Bus::of(&redis).processed().await?;
    assert_eq!(harness::bus::ids(&entries)?, ["good"]);
    Ok(())
}

#[tokio::test]
async fn a_message_of_another_content_type_is_refused() -> Result<()> {
    let redis = redis().await?;
    let consumer = lonely_consumer(redis.port(), &[]).await?;
    for wrong in [
        None,
        Some("text/plain"),
        Some("application/x-ndjson"),
        Some("json"),
    ] {
        let body = r#"{"message_id":"m"}"#;
        let answer = post_raw(&consumer, "/processMessage", wrong, body).await?;
        expect_refusal(&answer, &format!("{wrong:?}"))?;
    }
    assert!(Bus::of(&redis).processed().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_body_over_one_mebibyte_is_too_large() -> Result<()> {
    let redis = redis().await?;
    let consumer = lonely_consumer(redis.port(), &[]).await?;
    let body = message_of((1 << 20) + 1);
    let answer = post_raw(&consumer, "/processMessage", JSON, body).await?;
    assert_eq!(answer.status, 413);
    answer.error()?;
    assert!(Bus::of(&redis).processed().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn without_redis_a_message_fails_with_a_reference_to_the_log_until_redis_is_back()
-> Result<()> {
    let mut redis = redis().await?;
    let consumer = lonely_consumer(redis.port(), &[]).await?;
    let message = json!({ "message_id": "m" });
    assert_eq!(process_message(&consumer, &message).await?.status, 200);
    redis.kill().await?;
    let answer = process_message(&consumer, &message).await?;
    assert_eq!(answer.status, 503);
    let reference = answer.reference("Failed to process message!")?;
    let line = consumer.wait_for_log(&reference, PATIENCE).await?;
    assert!(line.contains("Redis"), "{line}");

    redis.start_again().await?;
    wait_until("the consumer to find Redis again", PATIENCE, async || {
        Ok(process_message(&consumer, &message).await?.status == 200)
    })
    .await
}

#[tokio::test]
async fn a_stream_that_is_no_stream_is_the_consumers_failure_not_the_messages() -> Result<()> {
    let redis = redis().await?;
    let (consumer, bus) = (lonely_consumer(redis.port(), &[]).await?, Bus::of(&redis));
    bus.command::<()>(&["SET", "messages:processed", "text"])
        .await?;
    let answer = process_message(&consumer, &json!({ "message_id": "m" })).await?;
    assert_eq!(answer.status, 503);
    let reference = answer.reference("Failed to process message!")?;
    let line = consumer.wait_for_log(&reference, PATIENCE).await?;
    assert!(line.contains("WRONGTYPE"), "{line}");
    Ok(())
}

#[tokio::test]
async fn a_draining_consumer_takes_nothing_new_and_finishes_what_it_has() -> Result<()> {
    let redis = redis().await?;
    let args = ["--processingDelayMs", "4000"];
    let mut consumer = lonely_consumer(redis.port(), &args).await?;
    let under_way = begin_processing(&consumer, &json!({ "message_id": "old" })).await?;
    consumer.signal(Signal::SIGTERM)?;
    wait_until("the health check to say 503", PATIENCE, async || {
        Ok(calls::get(&consumer, "/health").await?.status == 503)
    })
    .await?;
    let refused = process_message(&consumer, &json!({ "message_id": "new" })).await?;
    assert_eq!(refused.status, 503);
    refused.error()?;
    assert_eq!(
        under_way.status().await?,
        200,
        "what was under way is finished"
    );
    assert_eq!(consumer.wait_exit(PATIENCE).await?.code(), Some(0));
    let entries = Bus::of(&redis).processed().await?;
    assert_eq!(harness::bus::ids(&entries)?, ["old"]);
    Ok(())
}
