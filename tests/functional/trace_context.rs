//! The trace of a message (W3C Trace Context): passed on to the worker, and kept in the entry.

use anyhow::Result;
use harness::{
    Bus, FakeServer, PATIENCE, Reply, Service, calls,
    services::{consumer, group, redis, wait_until_joined},
    wait_until,
};
use serde_json::json;

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// A worker that takes everything, with this answer to health checks.
async fn worker(group: &Service, health: serde_json::Value) -> Result<FakeServer> {
    let worker = FakeServer::start(move |request| match request.path.as_str() {
        "/health" => Reply::json(200, &health),
        "/processMessages" => {
            let lines = request.body.iter().filter(|byte| **byte == b'\n').count();
            Reply::json(200, &json!({ "processed": lines }))
        }
        _ => Reply::status(200),
    })
    .await?;
    let answer = calls::register(group, &worker.address()).await?;
    assert_eq!(answer.status, 200, "{answer:?}");
    wait_until_joined(group, &worker.address()).await?;
    Ok(worker)
}

#[tokio::test]
async fn the_trace_of_a_message_is_a_header_of_its_delivery() -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    let worker = worker(&group, json!({})).await?;
    let with_both = json!({ "message_id": "both", "traceparent": PARENT, "tracestate": "a=1,b=2" });
    let with_parent = json!({ "message_id": "parent", "traceparent": PARENT });
    for message in [
        with_both.clone(),
        with_parent,
        json!({ "message_id": "none" }),
        json!({ "message_id": "malformed", "traceparent": "00-xyz" }),
        json!({ "message_id": "header", "traceparent": "00\r\nX-Evil: 1" }),
        json!({ "message_id": "state only", "tracestate": "a=1" }),
    ] {
        bus.publish(&message.to_string()).await?;
    }
    let requests = || worker.requests("/processMessage");
    wait_until("six deliveries", PATIENCE, async || {
        Ok(requests().len() == 6)
    })
    .await?;
    for request in requests() {
        let message: serde_json::Value = serde_json::from_slice(&request.body)?;
        let expected = match message["message_id"].as_str() {
            Some("both") => (Some(PARENT), Some("a=1,b=2")),
            Some("parent") => (Some(PARENT), None),
            _ => (None, None),
        };
        let found = (request.header("traceparent"), request.header("tracestate"));
        assert_eq!(found, expected, "{message}");
        assert_eq!(request.header("x-evil"), None);
    }
    Ok(())
}

#[tokio::test]
async fn in_a_batch_each_line_carries_its_own_trace() -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    let messages: Vec<_> = (0..2000)
        .map(|n| json!({ "message_id": n.to_string(), "traceparent": PARENT }).to_string())
        .collect();
    // They wait for a consumer, so that they go in batches.
    for message in &messages {
        bus.publish(message).await?;
    }
    let worker = worker(&group, json!({ "max_batch": 512 })).await?;
    let batches = || worker.requests("/processMessages");
    wait_until("a batch", PATIENCE, async || Ok(!batches().is_empty())).await?;
    for batch in batches() {
        assert_eq!(batch.header("traceparent"), None);
        let body = String::from_utf8(batch.body)?;
        assert!(body.lines().all(|line| line.contains(PARENT)), "{body}");
    }
    Ok(())
}

#[tokio::test]
async fn the_trace_is_kept_in_the_entry_as_it_was_published() -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    let consumer = consumer(&redis, &group, &[]).await?;
    let message = json!({ "message_id": "a", "traceparent": PARENT, "tracestate": "a=1" });
    bus.publish(&message.to_string()).await?;
    let entry = bus.wait_for_processed(1).await?.remove(0);
    assert_eq!(entry.text("traceparent")?, PARENT);
    assert_eq!(entry.text("tracestate")?, "a=1");

    // A header of a request says how it came here, which is not part of the message.
    let client = reqwest::Client::builder().no_proxy().build()?;
    let request = client
        .post(consumer.url("/processMessage"))
        .header("traceparent", PARENT)
        .json(&json!({ "message_id": "b" }));
    assert_eq!(request.send().await?.status(), 200);
    let entry = bus.wait_for_processed(2).await?.remove(1);
    assert!(entry.text("traceparent").is_err(), "{entry:?}");
    Ok(())
}
