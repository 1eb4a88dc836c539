//! A consumer that pulls from the queue, as a service: what it needs, and what it tells.

use std::fs;

use anyhow::Result;
use harness::{
    Bus, Chunks, PATIENCE, Service, calls,
    services::{binaries, redis},
    wait_until,
};
use local_stack::binaries::workspace;
use protocol::dead_letter::Excerpt;

use crate::pull_chunks::puller;

/// The user of `docs/operations.md` for consumers, with this very password.
async fn make_user(bus: &Bus) -> Result<()> {
    let text = fs::read_to_string(workspace().join("docs/operations.md"))?;
    let line = text
        .lines()
        .find(|line| line.starts_with("ACL SETUSER consumer "));
    let words: Vec<_> = line.unwrap_or_default().split(' ').collect();
    bus.command::<()>(&words).await
}

#[tokio::test]
async fn the_user_of_the_manual_suffices_to_pull_chunks() -> Result<()> {
    use local_stack::redis::Value;
    let redis = redis().await?;
    let (chunks, bus) = (Chunks::of(&redis)?, Bus::of(&redis));
    make_user(&bus).await?;
    let url = format!(
        "redis://consumer:CONSUMER-PASSWORD@127.0.0.1:{}",
        redis.port()
    );
    let args = [
        ["--restApiPort", "0"],
        ["--redisUrl", &url],
        ["--intake", "pull"],
    ];
    let program = &binaries().await?.consumer;
    let mut consumer = Service::start(program, &args.concat(), &[]).await?;
    for round in ["", "again-"] {
        let ids: Vec<_> = (0..300).map(|number| format!("{round}{number}")).collect();
        chunks.admit_ids(&ids).await?;
        chunks.admit(&["no message"]).await?;
        chunks.wait_for(300, 1).await?;
        // It makes the queue where there is none.
        bus.command::<()>(&["FLUSHALL"]).await?;
    }
    assert_eq!(calls::get(&consumer, "/ready").await?.status, 200);
    consumer.terminate(PATIENCE).await?;
    let log: Vec<Vec<Value>> = bus.command(&["ACL", "LOG"]).await?;
    let shown = log.iter().map(|entry| format!("{entry:?}"));
    // What clients say of themselves, Redis 7.0 does not know.
    let denied: Vec<_> = shown.filter(|entry| !entry.contains("setinfo")).collect();
    assert_eq!(denied, [""; 0]);
    Ok(())
}

#[tokio::test]
async fn it_is_ready_with_its_keys_and_not_while_one_is_of_another_type() -> Result<()> {
    let redis = redis().await?;
    let (chunks, bus) = (Chunks::of(&redis)?, Bus::of(&redis));
    let consumer = puller(&redis, &[]).await?;
    let is_ready = async |expected: u16| {
        wait_until("it to tell whether it is ready", PATIENCE, async || {
            Ok(calls::get(&consumer, "/ready").await?.status == expected)
        })
        .await
    };
    is_ready(200).await?;
    for key in ["messages:processed", harness::chunks::FAILED] {
        bus.command::<()>(&["SET", key, "in the way"]).await?;
        is_ready(503).await?;
        chunks
            .admit(&[harness::bus::message(key), "no message".to_owned()])
            .await?;
        bus.command::<u64>(&["DEL", key]).await?;
        is_ready(200).await?;
    }
    // What could not be recorded was kept until it could.
    chunks.wait_for(2, 2).await
}

#[tokio::test]
async fn what_was_too_large_to_be_heard_whole_is_a_dead_letter_of_that_reason() -> Result<()> {
    let redis = redis().await?;
    let chunks = Chunks::of(&redis)?;
    let _consumer = puller(&redis, &[]).await?;
    let large = Excerpt::of(&vec![b'x'; 2_000_000]);
    chunks.admit(&[large.to_bytes()]).await?;
    chunks.wait_for(0, 1).await?;
    let failed = chunks.failed().await?;
    assert_eq!(failed[0].text("reason")?, "too_large");
    assert_eq!(failed[0].text("payload_bytes")?, "2000000");
    assert_eq!(failed[0].text("payload")?, "x".repeat(1024));
    Ok(())
}

#[tokio::test]
async fn it_tells_how_old_its_messages_were_and_how_many_it_holds() -> Result<()> {
    let redis = redis().await?;
    let chunks = Chunks::of(&redis)?;
    let consumer = puller(&redis, &["--processingDelayMs", "700"]).await?;
    let tells = async |line: &str| {
        wait_until(line, PATIENCE, async || {
            let page = reqwest::get(consumer.url("/metrics")).await?.text().await?;
            Ok(page.lines().any(|told| told == line))
        })
        .await
    };
    let ids: Vec<_> = (0..50).map(|number| number.to_string()).collect();
    chunks.admit_ids(&ids).await?;
    tells("consumer_work_in_flight 50").await?;
    tells("consumer_processed_total 50").await?;
    tells("consumer_message_age_seconds_count 50").await?;
    tells("consumer_work_duration_seconds_count 50").await?;
    tells("consumer_work_in_flight 0").await
}
