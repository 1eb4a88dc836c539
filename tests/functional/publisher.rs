//! The command-line publisher.

use std::io::Write;

use anyhow::{Context, Result};
use harness::{
    Bus, PATIENCE, PrivateRedis, Stack, StackOptions, bus,
    services::{binaries, redis},
};
use tempfile::NamedTempFile;
use tokio::{process::Command, time::timeout};

/// Runs the publisher and returns all it said.
async fn publish(redis: &PrivateRedis, args: &[&str]) -> Result<String> {
    let output = Command::new(&binaries().await?.publisher)
        .args(["--redisServerPort", &redis.port_text()])
        .args(args)
        .kill_on_drop(true)
        .output();
    let output = timeout(PATIENCE, output).await??;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    anyhow::ensure!(output.status.success(), "{}: {said}", output.status);
    Ok(said)
}

#[tokio::test]
async fn all_it_publishes_is_processed() -> Result<()> {
    let stack = Stack::start(StackOptions::default()).await?;
    let args = ["--count", "500", "--payloadBytes", "100"];
    let said = publish(&stack.redis, &args).await?;
    assert!(said.contains("500"), "{said}");
    let entries = Bus::of(&stack.redis).wait_for_processed(500).await?;
    let mut ids = bus::ids(&entries)?;
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 500);
    assert_eq!(entries[0].bytes("payload")?.len(), 100);
    Ok(())
}

#[tokio::test]
async fn it_keeps_to_the_rate_it_is_told() -> Result<()> {
    let redis = redis().await?;
    let started = tokio::time::Instant::now();
    publish(&redis, &["--count", "50", "--rate", "50"]).await?;
    // The first goes at once, the last 49/50 of a second later.
    assert!(started.elapsed().as_millis() > 800);
    Ok(())
}

#[tokio::test]
async fn the_lines_of_a_file_are_published_as_they_are() -> Result<()> {
    let stack = Stack::start(StackOptions::default()).await?;
    let mut file = NamedTempFile::new()?;
    writeln!(file, r#"{{"message_id":"a","n": 1}}"#)?;
    writeln!(file, r#"{{"n":2,"message_id":"b"}}"#)?;
    let path = file.path().to_str().context("a path of text")?;
    publish(&stack.redis, &["--file", path]).await?;
    let entries = Bus::of(&stack.redis).wait_for_processed(2).await?;
    let mut found = Vec::new();
    for entry in &entries {
        found.push((entry.text("message_id")?, entry.text("n")?));
    }
    found.sort_unstable();
    let expected = [("a", "1"), ("b", "2")];
    assert_eq!(found, expected.map(|(id, n)| (id.to_owned(), n.to_owned())));
    Ok(())
}

#[tokio::test]
async fn it_warns_when_nobody_listens() -> Result<()> {
    let redis = redis().await?;
    let said = publish(&redis, &["--count", "3"]).await?;
    assert!(said.to_lowercase().contains("warning"), "{said}");
    Ok(())
}
