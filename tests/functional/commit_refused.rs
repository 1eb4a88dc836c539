//! When Redis does not take an entry, its id is not remembered either: it is recorded once Redis does.

use anyhow::Result;
use harness::{Bus, PATIENCE, calls::process_message, services::redis};
use serde_json::json;

use crate::process_message::lonely_consumer;

const STREAM: &str = "messages:processed";

/// Breaks Redis with a command, and expects that a message fails with `code` in the log; heals it with
/// another, and expects that the same message is recorded then, and once.
async fn expect_no_mark(break_it: &[&str], code: &str, heal_it: &[&str]) -> Result<()> {
    let redis = redis().await?;
    let (consumer, bus) = (lonely_consumer(redis.port(), &[]).await?, Bus::of(&redis));
    bus.command::<()>(&["CONFIG", "SET", "maxmemory-policy", "noeviction"])
        .await?;
    bus.command::<()>(break_it).await?;
    let message = json!({ "message_id": "m" });
    for _ in 0..3 {
        let answer = process_message(&consumer, &message).await?;
        assert_eq!(answer.status, 503, "{answer:?}");
        let reference = answer.reference("Failed to process message!")?;
        let line = consumer.wait_for_log(&reference, PATIENCE).await?;
        assert!(line.contains(code), "{line}");
    }
    for set in [":0", ":1"] {
        let key = format!("{{{STREAM}}}:settled{set}");
        assert_eq!(bus.command::<u64>(&["SCARD", &key]).await?, 0, "{key}");
    }
    bus.command::<()>(heal_it).await?;
    let results = [
        process_message(&consumer, &message).await?,
        process_message(&consumer, &message).await?,
    ];
    assert_eq!(results.each_ref().map(|answer| answer.status), [200, 200]);
    assert!(results[0].body["result"].is_null(), "{results:?}");
    assert_eq!(results[1].body["result"], "duplicate");
    assert_eq!(bus.processed().await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_stream_that_is_no_stream_leaves_no_mark() -> Result<()> {
    expect_no_mark(&["SET", STREAM, "text"], "WRONGTYPE", &["DEL", STREAM]).await
}

#[tokio::test]
async fn a_redis_out_of_memory_leaves_no_mark() -> Result<()> {
    let set = ["CONFIG", "SET", "maxmemory"];
    expect_no_mark(
        &[&set[..], &["1"]].concat(),
        "OOM",
        &[&set[..], &["0"]].concat(),
    )
    .await
}

#[tokio::test]
async fn a_redis_with_too_few_replicas_leaves_no_mark() -> Result<()> {
    let set = ["CONFIG", "SET", "min-replicas-to-write"];
    let [broken, whole] = [[&set[..], &["1"]].concat(), [&set[..], &["0"]].concat()];
    expect_no_mark(&broken, "NOREPLICAS", &whole).await
}
