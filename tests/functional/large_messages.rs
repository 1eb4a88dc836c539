//! Messages beyond what a message may have: they cost their reader no memory.

use anyhow::Result;
use harness::{
    Bus, FakeConsumer, PATIENCE, PrivateRedis, Reply, services::group, status::wait_for_status,
    wait_until,
};
use serde_json::json;

/// How large the messages are, in bytes: far beyond the limit of 1 MiB.
const LARGE: usize = 24 << 20;

/// How much more memory the group may take meanwhile, in bytes.
const MAY_GROW: u64 = 16 << 20;

/// How much of a payload that is no message is kept, in bytes.
const KEPT: usize = 1024;

/// A Redis that does not cut off a subscriber for what it has for it.
async fn patient_redis() -> Result<PrivateRedis> {
    PrivateRedis::start(&["--client-output-buffer-limit", "pubsub 0 0 0"]).await
}

fn large(id: &str) -> Vec<u8> {
    let mut message = format!(r#"{{"message_id":"{id}","fill":""#).into_bytes();
    message.resize(LARGE - 2, b'x');
    message.extend_from_slice(br#""}"#);
    message
}

#[tokio::test]
async fn a_message_far_beyond_the_limit_is_skipped_and_its_start_kept() -> Result<()> {
    let redis = patient_redis().await?;
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    let consumer = FakeConsumer::join(&group, Reply::status(200)).await?;
    let before = group.peak_memory_bytes()?;
    for number in 0..2 {
        bus.publish(large(&number.to_string())).await?;
        bus.publish_id(&format!("good {number}")).await?;
    }
    let failed = bus.wait_for_failed(2).await?;
    for (number, entry) in failed.iter().enumerate() {
        assert_eq!(entry.text("reason")?, "too_large");
        assert_eq!(entry.text("payload_bytes")?, LARGE.to_string());
        assert_eq!(entry.bytes("payload")?, &large(&number.to_string())[..KEPT]);
        let error = entry.text("last_error")?;
        assert!(error.contains(&LARGE.to_string()), "{error}");
    }
    wait_until("the good messages to be delivered", PATIENCE, async || {
        Ok(consumer.received()?.len() == 2)
    })
    .await?;
    let expected = json!({ "received": 4, "processed": 2, "dead_lettered": 2, "queued": 0 });
    wait_for_status(&group, &expected).await?;
    let grown = group.peak_memory_bytes()? - before;
    assert!(grown < MAY_GROW, "it grew by {grown} bytes");
    Ok(())
}

#[tokio::test]
async fn large_messages_that_differ_at_their_end_alone_each_have_a_letter() -> Result<()> {
    let redis = patient_redis().await?;
    let groups = [group(&redis, &[]).await?, group(&redis, &[]).await?];
    let bus = Bus::of(&redis);
    // Both replicas hear all of it; each of the three has one letter, the repeated one no second.
    for end in ["a", "b", "c", "a"] {
        let fill = "x".repeat(2 << 20);
        bus.publish(format!(r#"{{"message_id":"m","fill":"{fill}{end}"}}"#))
            .await?;
    }
    let expected = json!({ "received": 8, "dead_lettered": 3, "duplicate": 5 });
    for group in &groups {
        wait_for_status(group, &expected).await?;
    }
    assert_eq!(bus.failed().await?.len(), 3);
    Ok(())
}
