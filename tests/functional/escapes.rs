//! What strangers write reaches no terminal as it is: it could move the cursor, or look like another line.

use std::path::Path;

use anyhow::{Result, ensure};
use harness::{
    Bus, FakeConsumer, PATIENCE, PrivateRedis, Reply, Service, calls,
    services::{binaries, fixed_port, redis},
    wait_until,
};
use serde_json::json;
use tokio::{process::Command, time::timeout};

/// Escape, C1, new lines of four kinds, and characters that turn the direction of text.
const HARMFUL: &str = "\u{1b}[31m\u{9b}2J\r\n\u{85}\u{2028}\u{7f}\u{200f}\u{202e}\u{2066}";

/// An id that is easy to find, with all of that in it.
fn id() -> String {
    format!("begin-{HARMFUL}-end")
}

async fn start(program: &Path, redis: &PrivateRedis, format: &str) -> Result<(Service, String)> {
    let port = fixed_port()?;
    let mut command = Command::new(program);
    command
        .args(["--logFormat", format, "--logLevel", "debug"])
        .args(["--restApiPort", &port.to_string()])
        .args(["--redisServerPort", &redis.port_text()])
        .current_dir(std::env::temp_dir());
    let service = Service::spawn_other(program, command)?;
    let url = format!("http://127.0.0.1:{port}");
    wait_until("the service to answer", PATIENCE, async || {
        let answer = calls::get_from(&format!("{url}/health")).await;
        Ok(answer.is_ok_and(|answer| answer.status == 200))
    })
    .await?;
    Ok((service, url))
}

/// The id stands in one line, and no line has anything of what is harmful.
async fn expect_escapes(service: &Service) -> Result<()> {
    let line = service.wait_for_log("-end", PATIENCE).await?;
    ensure!(line.contains("begin-"), "cut in two: {line:?}");
    for line in service.logs() {
        ensure!(
            !line.contains(|c| HARMFUL.contains(c) && !"[31m2J".contains(c)),
            "{line:?}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn the_log_of_a_group_escapes_what_ids_of_messages_and_consumers_hold() -> Result<()> {
    for format in ["text", "json"] {
        let redis = redis().await?;
        let bus = Bus::of(&redis);
        bus.command::<()>(&["RPUSH", "consumer:ids", &id()]).await?;
        let (group, url) = start(&binaries().await?.group, &redis, format).await?;
        wait_until("the group to be ready", PATIENCE, async || {
            Ok(calls::get_from(&format!("{url}/ready")).await?.status == 200)
        })
        .await?;
        let consumer = FakeConsumer::start(Reply::status(422)).await?;
        let body = json!({ "consumer_id": consumer.id() });
        calls::post_to(&format!("{url}/register"), &body).await?;
        bus.publish_id(&id()).await?;
        bus.wait_for_failed(1).await?;
        expect_escapes(&group).await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_log_of_a_consumer_escapes_what_ids_of_messages_hold() -> Result<()> {
    for format in ["text", "json"] {
        let redis = redis().await?;
        let (consumer, url) = start(&binaries().await?.consumer, &redis, format).await?;
        let body = json!({ "message_id": id() });
        let answer = calls::post_to(&format!("{url}/processMessage"), &body).await?;
        ensure!(answer.status == 200, "{answer:?}");
        expect_escapes(&consumer).await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_error_of_the_publisher_escapes_what_it_quotes() -> Result<()> {
    let redis = redis().await?;
    let output = Command::new(&binaries().await?.publisher)
        .args(["--file", &id(), "--redisServerPort", &redis.port_text()])
        .kill_on_drop(true)
        .output();
    let output = timeout(PATIENCE, output).await??;
    let said = String::from_utf8(output.stderr)?;
    assert!(said.contains("begin-"), "{said:?}");
    assert!(!said.contains(['\u{1b}', '\u{9b}', '\u{202e}']), "{said:?}");
    Ok(())
}
