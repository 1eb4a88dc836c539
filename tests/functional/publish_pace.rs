//! `POST /messages` when many send slowly, or much at once.

use std::time::Duration;

use anyhow::Result;
use harness::{
    Bus, PATIENCE, Service,
    calls::{post, post_raw},
    services::{group, redis},
    wait_until,
};
use serde_json::json;
use tokio::{io::AsyncWriteExt, net::TcpStream, task::JoinSet, time::timeout};

const LINES: Option<&str> = Some("application/x-ndjson");

/// How many senders are slow: more than are served at once.
const SLOW: usize = 64;

/// How many of them are asked for their bodies before anybody else publishes.
const ASKED: usize = 16;

/// Begins to publish and goes no further; the service asks for the body (RFC 9110, 10.1.1) once it reads it.
async fn begin(group: &Service) -> Result<TcpStream> {
    let mut connection = TcpStream::connect(group.address()).await?;
    let head = "POST /messages HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-ndjson\r\n\
                Content-Length: 16000000\r\nExpect: 100-continue\r\n\r\n";
    connection.write_all(head.as_bytes()).await?;
    Ok(connection)
}

/// What the service has said so far, without waiting for more.
async fn said(connection: &TcpStream) -> Result<String> {
    let mut said = [0; 256];
    let peeked = timeout(Duration::from_millis(1), connection.peek(&mut said)).await;
    let bytes = peeked.unwrap_or(Ok(0))?;
    Ok(String::from_utf8_lossy(&said[..bytes]).into_owned())
}

#[tokio::test]
async fn senders_that_are_slow_keep_nobody_out() -> Result<()> {
    let redis = redis().await?;
    let group = group(&redis, &[]).await?;
    let mut slow = Vec::new();
    for _ in 0..SLOW {
        slow.push(begin(&group).await?);
    }
    wait_until("bodies to be asked for", PATIENCE, async || {
        let mut asked = 0;
        for connection in &slow {
            asked += usize::from(said(connection).await?.contains("100 Continue"));
        }
        Ok(asked >= ASKED)
    })
    .await?;
    let answer = post(&group, "/messages", &json!({ "message_id": "m" })).await?;
    assert_eq!(answer.status, 202, "{answer:?}");
    for connection in &slow {
        let said = said(connection).await?;
        // Else it was served only because a slow one was given up.
        assert!(!said.contains("408") && !said.contains("503"), "{said}");
    }
    Ok(())
}

#[tokio::test]
async fn a_body_of_tiny_messages_takes_little_more_memory_than_its_size() -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    let line = |number: u32| format!("{{\"message_id\":\"{}\"}}\n", number % 10);
    let body: String = (0..200_000).map(line).collect();
    let bytes = u64::try_from(body.len())?;
    // The buffers of connections have their size after a first one.
    post_raw(&group, "/messages", LINES, body.clone() + "[]").await?;
    let before = group.memory_bytes()?;
    let answer = post_raw(&group, "/messages", LINES, body).await?;
    assert_eq!(answer.body, json!({ "created": 10, "duplicate": 199_990 }));
    let grown = group.peak_memory_bytes()?.saturating_sub(before);
    assert!(
        grown < 3 * bytes,
        "it grew by {grown} for a body of {bytes}"
    );
    assert_eq!(bus.queue_length().await?, 10);
    Ok(())
}

#[tokio::test]
async fn more_bodies_than_there_is_room_for_are_read_one_after_the_other() -> Result<()> {
    let redis = redis().await?;
    let group = group(&redis, &[]).await?;
    let mut publishing = JoinSet::new();
    for _ in 0..6 {
        let (url, fill) = (group.url("/messages"), "x".repeat(15 << 16));
        // Its last line is no message, so nothing of it goes to Redis.
        let body = format!("{{\"message_id\":\"m\",\"fill\":\"{fill}\"}}\n").repeat(16) + "[]";
        let request = reqwest::Client::new().post(url).body(body);
        let request = request.header("Content-Type", "application/x-ndjson");
        publishing.spawn(async move { anyhow::Ok(request.send().await?.status().as_u16()) });
    }
    while let Some(status) = publishing.join_next().await {
        assert_eq!(status??, 400);
    }
    Ok(())
}
