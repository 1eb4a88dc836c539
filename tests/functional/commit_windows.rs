//! How long an id is remembered, and what that leaves in Redis.

use anyhow::{Context, Result};
use harness::{Bus, PATIENCE, calls::process_message, services::redis, wait_until};
use serde_json::json;

use crate::process_message::lonely_consumer;

/// The window of the test, in seconds and as an argument.
const WINDOW_MS: u64 = 2000;
const WINDOW: [&str; 2] = ["--dedupWindowSeconds", "2"];

async fn keys(bus: &Bus) -> Result<Vec<String>> {
    let mut keys: Vec<String> = bus.command(&["KEYS", "*"]).await?;
    keys.sort_unstable();
    Ok(keys)
}

/// When the entries of a stream were added, in milliseconds.
async fn times(bus: &Bus, stream: &str) -> Result<Vec<u64>> {
    let entries: Vec<(String, Vec<String>)> = bus.command(&["XRANGE", stream, "-", "+"]).await?;
    let time = |id: &String| id.split('-').next()?.parse().ok();
    entries
        .iter()
        .map(|(id, _)| time(id).with_context(|| id.clone()))
        .collect()
}

#[tokio::test]
async fn an_id_is_known_for_one_window_at_least_and_two_at_the_most() -> Result<()> {
    let redis = redis().await?;
    let consumer = lonely_consumer(redis.port(), &WINDOW).await?;
    let bus = Bus::of(&redis);
    let is_duplicate = async |id: &str| {
        let answer = process_message(&consumer, &json!({ "message_id": id })).await?;
        assert_eq!(answer.status, 200, "{answer:?}");
        anyhow::Ok(answer.body["result"] == "duplicate")
    };
    assert!(!is_duplicate("m").await?);
    wait_until("the id to be forgotten", PATIENCE, async || {
        Ok(!is_duplicate("m").await?)
    })
    .await?;
    let times = times(&bus, "messages:processed").await?;
    let between = times[1] - times[0];
    assert!(between >= WINDOW_MS, "forgotten after {between} ms");
    // The last look may have been a while before that.
    assert!(between < 2 * WINDOW_MS + 2000, "known for {between} ms");

    let sets = ["0", "1"].map(|set| format!("{{messages:processed}}:settled:{set}"));
    let mut remembered: Vec<String> = Vec::new();
    for set in &sets {
        remembered.extend(bus.command::<Vec<String>>(&["SMEMBERS", set]).await?);
    }
    assert_eq!(remembered, ["m"], "the older set is gone");
    assert_eq!(keys(&bus).await?.len(), 3, "stream, state and one set");
    Ok(())
}

#[tokio::test]
async fn a_window_longer_ago_than_two_is_dropped_whole() -> Result<()> {
    let redis = redis().await?;
    let consumer = lonely_consumer(redis.port(), &WINDOW).await?;
    let bus = Bus::of(&redis);
    for id in ["a", "b"] {
        process_message(&consumer, &json!({ "message_id": id })).await?;
    }
    // As if nothing had come for an hour.
    let state = "{messages:processed}:settled";
    let since: u64 = bus.command(&["HGET", state, "since"]).await?;
    let long_ago = (since - 3600).to_string();
    bus.command::<()>(&["HSET", state, "since", &long_ago])
        .await?;
    let answer = process_message(&consumer, &json!({ "message_id": "a" })).await?;
    assert!(answer.body["result"].is_null(), "{answer:?}");
    // A clock that was put back by an hour must not keep the sets for ever.
    let from_now = (since + 3600).to_string();
    bus.command::<()>(&["HSET", state, "since", &from_now])
        .await?;
    let answer = process_message(&consumer, &json!({ "message_id": "c" })).await?;
    assert_eq!(answer.status, 200);
    let renewed: u64 = bus.command(&["HGET", state, "since"]).await?;
    assert!(renewed < since + 1800);
    Ok(())
}

#[tokio::test]
async fn a_stream_with_a_hash_tag_keeps_all_its_keys_in_that_slot() -> Result<()> {
    let redis = redis().await?;
    let stream = "{shop}:processed";
    let consumer = lonely_consumer(redis.port(), &["--processedStream", stream]).await?;
    let bus = Bus::of(&redis);
    for expected in [json!(null), json!("duplicate")] {
        let answer = process_message(&consumer, &json!({ "message_id": "m" })).await?;
        assert_eq!(answer.body["result"], expected);
    }
    assert_eq!(times(&bus, stream).await?.len(), 1);
    let keys = keys(&bus).await?;
    assert!(keys.len() >= 3, "{keys:?}");
    assert!(
        keys.iter().all(|key| key.starts_with("{shop}:")),
        "{keys:?}"
    );
    Ok(())
}

#[tokio::test]
async fn without_a_window_every_message_is_an_entry_and_nothing_is_kept_beside_them() -> Result<()>
{
    let redis = redis().await?;
    let consumer = lonely_consumer(redis.port(), &["--dedupWindowSeconds", "0"]).await?;
    let bus = Bus::of(&redis);
    for _ in 0..2 {
        let answer = process_message(&consumer, &json!({ "message_id": "m" })).await?;
        assert_eq!(answer.status, 200);
        assert!(answer.body["result"].is_null(), "{answer:?}");
    }
    assert_eq!(harness::bus::ids(&bus.processed().await?)?, ["m", "m"]);
    assert_eq!(keys(&bus).await?, ["messages:processed"]);
    Ok(())
}

#[tokio::test]
async fn the_stream_keeps_about_as_many_entries_as_the_setting_says() -> Result<()> {
    for window in ["0", "600"] {
        let redis = redis().await?;
        let args = ["--processedMaxLen", "100", "--dedupWindowSeconds", window];
        let consumer = lonely_consumer(redis.port(), &args).await?;
        for number in 0..500 {
            let message = json!({ "message_id": number.to_string() });
            assert_eq!(process_message(&consumer, &message).await?.status, 200);
        }
        let entries = Bus::of(&redis).processed().await?;
        // Redis trims whole nodes, of 100 entries by default.
        assert!((100..=200).contains(&entries.len()), "{}", entries.len());
        assert_eq!(entries[entries.len() - 1].text("message_id")?, "499");
    }
    Ok(())
}
