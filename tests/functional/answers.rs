//! What is read of a consumer's answer, however odd it is.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Result;
use harness::{
    Bus, FakeConsumer, FakeServer, PATIENCE, PrivateRedis, Reply, Service, calls,
    services::{group, redis, wait_for_account, wait_for_members},
    status::wait_for_status,
    usage, wait_until,
};
use serde_json::{Value, json};

/// How many messages are published beside a consumer of interest: that it gets none of them by chance is as
/// likely as heads forty times in a row.
pub(crate) const MESSAGES: usize = 40;

pub(crate) struct Scene {
    pub(crate) redis: PrivateRedis,
    pub(crate) group: Service,
    pub(crate) bus: Bus,
}

impl Scene {
    pub(crate) async fn with(args: &[&str]) -> Result<Self> {
        let redis = redis().await?;
        let (group, bus) = (group(&redis, args).await?, Bus::of(&redis));
        Ok(Self { redis, group, bus })
    }

    pub(crate) async fn join(&self, reply: Reply) -> Result<FakeConsumer> {
        FakeConsumer::join(&self.group, reply).await
    }

    pub(crate) async fn publish(&self, count: usize, name: &str) -> Result<()> {
        let ids: Vec<_> = (0..count)
            .map(|number| format!("{name} {number}"))
            .collect();
        self.bus.publish_ids(&ids).await?;
        Ok(())
    }

    /// Publishes, and waits until all was processed and nothing given up.
    pub(crate) async fn expect_all_processed(&self) -> Result<()> {
        self.publish(MESSAGES, "m").await?;
        let count = u64::try_from(MESSAGES)?;
        wait_for_account(&self.group, count, 0).await
    }

    /// How often any consumer was left out.
    pub(crate) async fn ejections(&self) -> Result<String> {
        let metrics = reqwest::get(self.group.url("/metrics"))
            .await?
            .text()
            .await?;
        let name = "consumer_group_ejections_total ";
        let line = metrics.lines().find_map(|line| line.strip_prefix(name));
        Ok(line.unwrap_or("none").to_owned())
    }
}

#[tokio::test]
async fn a_success_is_one_however_long_its_answer_is() -> Result<()> {
    let many = (0..150).map(|number| format!("X-{number}: x")).collect();
    for (headers, body) in [
        (Vec::new(), "x".repeat(200_000)),
        (many, "{}".to_owned()),
        (
            vec![format!("X-Long: {}", "x".repeat(600_000))],
            "{}".to_owned(),
        ),
    ] {
        let scene = Scene::with(&[]).await?;
        let consumer = scene.join(Reply::Answer(200, headers, body)).await?;
        scene.expect_all_processed().await?;
        assert_eq!(consumer.received()?.len(), MESSAGES, "each once");
        assert_eq!(scene.ejections().await?, "0");
    }
    Ok(())
}

/// A head that is no end: an answer 1xx, many times over.
fn endless() -> Reply {
    Reply::Endless("HTTP/1.1 100 Continue\r\n\r\n".repeat(1000))
}

#[tokio::test]
async fn an_endless_run_of_interim_answers_is_cut_short() -> Result<()> {
    let scene = Scene::with(&["--attemptTimeoutMs", "600000"]).await?;
    let endless = scene.join(endless()).await?;
    let _well = scene.join(Reply::status(200)).await?;
    scene.publish(MESSAGES, "m").await?;
    wait_for_account(&scene.group, u64::try_from(MESSAGES)?, 0).await?;
    assert!(!endless.received()?.is_empty(), "it was never tried");
    Ok(())
}

/// How many checks are looked at; a consumer that fails so many is removed.
const CHECKS: usize = 3;

#[tokio::test]
async fn a_health_check_answered_by_an_endless_run_of_interim_answers_is_cheap_and_fails()
-> Result<()> {
    let scene = Scene::with(&[]).await?;
    let well = scene.join(Reply::status(200)).await?;
    let sick = FakeConsumer::start(Reply::status(200)).await?;
    sick.answer_health_checks(endless());
    let before = usage::cpu_time(scene.group.pid())?;
    calls::register(&scene.group, &sick.id()).await?;
    wait_until("some checks of it", PATIENCE, async || {
        let used = usage::cpu_time(scene.group.pid())? - before;
        assert!(used < Duration::from_secs(2), "{used:?} of CPU");
        Ok(sick.health_checks() > CHECKS)
    })
    .await?;
    wait_for_members(&scene.bus, &[&well.id()]).await?;
    assert!(sick.received()?.is_empty());
    Ok(())
}

/// Answers for the first half of a batch, and breaks off; keeps whom it answered for.
fn half(body: &[u8], told: &Mutex<Vec<String>>) -> Reply {
    let lines = body.split(|byte| *byte == b'\n');
    let ids: Vec<_> = lines
        .filter_map(|line| serde_json::from_slice::<Value>(line).ok())
        .filter_map(|message| message["message_id"].as_str().map(str::to_owned))
        .collect();
    let known = &ids[..ids.len() / 2];
    let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
    told.extend_from_slice(known);
    let results = r#"{"status":200},"#.repeat(known.len());
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n";
    Reply::Raw(format!(r#"{head}{{"results":[{results}{{"stat"#))
}

#[tokio::test]
async fn what_an_answer_to_a_batch_says_before_it_breaks_off_counts() -> Result<()> {
    let scene = Scene::with(&["--maxAttempts", "1000"]).await?;
    scene.publish(2 * MESSAGES, "m").await?;
    wait_for_status(&scene.group, &json!({ "queued": 2 * MESSAGES })).await?;
    let told = Arc::new(Mutex::new(Vec::new()));
    let shared = Arc::clone(&told);
    let consumer = FakeServer::start(move |request| match request.path.as_str() {
        "/health" => Reply::json(200, &json!({ "message": "well", "max_batch": 100 })),
        "/processMessages" => half(&request.body, &shared),
        _ => Reply::status(200),
    })
    .await?;
    calls::register(&scene.group, &consumer.address()).await?;
    wait_for_account(&scene.group, u64::try_from(2 * MESSAGES)?, 0).await?;
    let alone = consumer.requests("/processMessage").len();
    let mut told = told.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let count = told.len();
    assert!(count > MESSAGES, "most went in batches");
    told.sort_unstable();
    told.dedup();
    assert_eq!(
        (told.len(), count + alone),
        (count, 2 * MESSAGES),
        "each once"
    );
    Ok(())
}
