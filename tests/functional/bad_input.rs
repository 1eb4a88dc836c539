//! What is published but is no message: counted, kept for inspection, never sent on.

use anyhow::Result;
use harness::{
    Bus, FakeConsumer, PATIENCE, Reply,
    services::{group, redis, wait_for_account},
    wait_until,
};
use serde_json::json;

/// How much of a payload that is no message is kept, in bytes.
const KEPT: usize = 1024;

/// A payload and the reason it should be given.
type Case = (Vec<u8>, &'static str);

fn cases() -> Vec<Case> {
    let (open, close) = ("[".repeat(100_000), "]".repeat(100_000));
    let long_id = json!({ "message_id": "x".repeat(257) }).to_string();
    let large = json!({ "message_id": "m", "fill": "x".repeat(1 << 20) }).to_string();
    let not_json: [&[u8]; 9] = [
        b"",
        b"not json",
        b"\x00\x01\x02\xff\xfe",
        b"{\"message_id\":\"\xff\"}",
        b"[]",
        b"7",
        b"\"message_id\"",
        b"null",
        br#"{"message_id":"m""#,
    ];
    let bad_ids: [&[u8]; 8] = [
        b"{}",
        br#"{"id":"m"}"#,
        br#"{"message_id":7}"#,
        br#"{"message_id":null}"#,
        br#"{"message_id":{"a":1}}"#,
        br#"{"message_id":""}"#,
        br#"{"message_id":"a","message_id":"b"}"#,
        long_id.as_bytes(),
    ];
    let deep = [
        format!("{open}{close}"),
        format!(r#"{{"message_id":"m","deep":{open}{close}}}"#),
        open,
    ];
    let mut cases = Vec::new();
    cases.extend(not_json.map(|payload| (payload.to_vec(), "not_json")));
    cases.extend(deep.map(|payload| (payload.into_bytes(), "not_json")));
    cases.extend(bad_ids.map(|payload| (payload.to_vec(), "bad_message_id")));
    cases.push((large.into_bytes(), "too_large"));
    cases
}

#[tokio::test]
async fn what_is_no_message_is_kept_with_its_reason_and_never_sent_to_a_consumer() -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    let consumer = FakeConsumer::join(&group, Reply::status(200)).await?;
    let cases = cases();
    for (payload, _) in &cases {
        assert_eq!(bus.publish(payload).await?, 1);
    }
    let failed = bus.wait_for_failed(cases.len()).await?;
    assert_eq!(failed.len(), cases.len());
    for (entry, (payload, reason)) in failed.iter().zip(&cases) {
        let shown = String::from_utf8_lossy(&payload[..payload.len().min(60)]);
        assert_eq!(entry.text("reason")?, *reason, "{shown}");
        assert_eq!(entry.bytes("payload")?, &payload[..payload.len().min(KEPT)]);
        assert_eq!(entry.text("payload_bytes")?, payload.len().to_string());
        assert_eq!(entry.text("attempts")?, "0");
        assert!(!entry.text("last_error")?.is_empty());
        humantime::parse_rfc3339(&entry.text("failed_at")?)?;
    }

    bus.publish_id("good").await?;
    wait_until("the good message to be delivered", PATIENCE, async || {
        Ok(!consumer.received()?.is_empty())
    })
    .await?;
    assert_eq!(consumer.received()?, ["good"]);
    wait_for_account(&group, 1, u64::try_from(cases.len())?).await
}

#[tokio::test]
async fn a_flood_of_bad_input_does_not_stand_in_the_way_of_messages() -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    let consumer = FakeConsumer::join(&group, Reply::status(200)).await?;
    for number in 0..200 {
        bus.publish(format!("{number} {}", "x".repeat(2000)))
            .await?;
        bus.publish_id(&format!("m{number}")).await?;
    }
    wait_until("all good messages to be delivered", PATIENCE, async || {
        Ok(consumer.received()?.len() == 200)
    })
    .await?;
    let failed = bus.wait_for_failed(200).await?;
    assert_eq!(failed.len(), 200);
    wait_for_account(&group, 200, 200).await
}
