//! JSON that is valid and unusual, and words that fit what is not.

use std::fs;

use anyhow::Result;
use harness::{
    Bus, PATIENCE,
    calls::{pass_on, post_raw},
    services::{binaries, consumer, group, redis},
    status::wait_for_status,
};
use serde_json::json;
use tokio::{process::Command, time::timeout};

const BYTE_ORDER_MARK: &str = "\u{feff}";

#[tokio::test]
async fn a_number_of_any_size_is_delivered_and_recorded_as_it_was_published() -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    let consumer = consumer(&redis, &group, &[]).await?;
    let digits = "7".repeat(400);
    let message = |id: &str| {
        format!(
            r#"{{"message_id":"{id}","power":1e309,"digits":{digits},"deep":[{{"n":-{digits}}}]}}"#
        )
    };
    bus.publish(message("published")).await?;
    let lines = Some("application/x-ndjson");
    let posted = post_raw(&group, "/messages", lines, message("posted")).await?;
    assert_eq!(posted.status, 202, "{posted:?}");
    let url = consumer.url("/processMessage");
    let by_hand = pass_on(&url, message("by hand").into_bytes()).await?;
    assert_eq!(by_hand.status, 200, "{by_hand:?}");
    let entries = bus.wait_for_processed(3).await?;
    for entry in &entries {
        assert_eq!(entry.text("power")?, "1e309");
        assert_eq!(entry.text("digits")?, digits);
        assert_eq!(entry.text("deep")?, format!(r#"[{{"n":-{digits}}}]"#));
    }
    wait_for_status(
        &group,
        &json!({ "dead_lettered": 0, "queued": 0, "in_flight": 0 }),
    )
    .await
}

#[tokio::test]
async fn what_is_refused_is_told_in_words_that_fit() -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    let deep = "[".repeat(127) + &"]".repeat(127);
    let cases: [(Vec<u8>, &str); 5] = [
        (br#"{"message_id":"a","b":"\ud800"}"#.to_vec(), "surrogate"),
        (br#"{"message_id":"a","b":NaN}"#.to_vec(), "NaN"),
        (br#"{"message_id":"a","b":-Infinity}"#.to_vec(), "Infinity"),
        (b"\xff\xfe{\0}\0".to_vec(), "not UTF-8"),
        (format!(r#"{{"message_id":"a","b":{deep}}}"#).into(), "127"),
    ];
    for (payload, _) in &cases {
        bus.publish(&payload[..]).await?;
    }
    let failed = bus.wait_for_failed(cases.len()).await?;
    for (entry, (_, words)) in failed.iter().zip(&cases) {
        assert_eq!(entry.text("reason")?, "not_json");
        let error = entry.text("last_error")?;
        assert!(error.contains(words), "{error}");
    }
    wait_for_status(&group, &json!({ "received": 5, "dead_lettered": 5 })).await
}

#[tokio::test]
async fn a_byte_order_mark_before_a_message_is_left_out() -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    let consumer = consumer(&redis, &group, &[]).await?;
    let message = |id: &str| format!("{BYTE_ORDER_MARK}{{\"message_id\":\"{id}\"}}\n");
    bus.publish(message("published")).await?;
    let lines = Some("application/x-ndjson");
    let two = message("posted") + &message("appended");
    let posted = post_raw(&group, "/messages", lines, two).await?;
    assert_eq!(posted.status, 202, "{posted:?}");
    let url = consumer.url("/processMessage");
    assert_eq!(
        pass_on(&url, message("by hand").into_bytes()).await?.status,
        200
    );
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("messages.ndjson");
    fs::write(&file, message("from a file"))?;
    let (file, port) = (file.display().to_string(), redis.port_text());
    let mut publisher = Command::new(&binaries().await?.publisher);
    publisher.args(["--file", &file, "--redisServerPort", &port]);
    let ended = timeout(PATIENCE, publisher.kill_on_drop(true).output()).await??;
    assert!(ended.status.success(), "{ended:?}");
    let entries = bus.wait_for_processed(5).await?;
    let mut ids = harness::bus::ids(&entries)?;
    ids.sort_unstable();
    assert_eq!(
        ids,
        ["appended", "by hand", "from a file", "posted", "published"]
    );
    wait_for_status(
        &group,
        &json!({ "dead_lettered": 0, "queued": 0, "in_flight": 0 }),
    )
    .await
}
