//! Consumers that know nothing of Redis: the group records what they answer.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use anyhow::{Context, Result};
use harness::{
    Bus, FakeServer, PATIENCE, PrivateRedis, Reply, Service, bus, calls,
    services::{group, redis, wait_for_account, wait_until_joined},
    status::{status, wait_for_status},
    wait_until,
};
use serde_json::{Value, json};

/// A group, without consumers.
struct Scene {
    redis: PrivateRedis,
    group: Service,
    bus: Bus,
}

impl Scene {
    async fn with(group_args: &[&str]) -> Result<Self> {
        let redis = redis().await?;
        let (group, bus) = (group(&redis, group_args).await?, Bus::of(&redis));
        Ok(Self { redis, group, bus })
    }

    /// A consumer that answers messages so: a body for each, and `max_batch` at once.
    async fn join(
        &self,
        max_batch: usize,
        answer: impl Fn(&Value) -> Value + Send + Sync + 'static,
    ) -> Result<FakeServer> {
        let consumer = FakeServer::start(move |request| match request.path.as_str() {
            "/health" => Reply::json(200, &json!({ "max_batch": max_batch })),
            "/processMessage" => {
                let answer = answer(&messages(&request.body)[0]);
                let status = answer["status"].as_u64().and_then(|it| it.try_into().ok());
                Reply::json(status.unwrap_or(200), &answer)
            }
            "/processMessages" => {
                let results: Vec<_> = messages(&request.body).iter().map(&answer).collect();
                Reply::json(200, &json!({ "results": results }))
            }
            _ => Reply::status(404),
        })
        .await?;
        let answer = calls::register(&self.group, &consumer.address()).await?;
        assert_eq!(answer.status, 200, "{answer:?}");
        wait_until_joined(&self.group, &consumer.address()).await?;
        Ok(consumer)
    }
}

fn messages(body: &[u8]) -> Vec<Value> {
    let lines = body.split(|byte| *byte == b'\n');
    lines
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect()
}

/// What has the group record the length of the message's id.
fn priced(message: &Value) -> Value {
    let length = message["message_id"].as_str().map_or(0, str::len);
    json!({ "status": 200, "entry": { "length": length, "text": "größer", "list": [1, null] } })
}

fn ids(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("m{number:04}")).collect()
}

#[tokio::test]
async fn the_group_records_what_a_consumer_answers() -> Result<()> {
    let scene = Scene::with(&[]).await?;
    let consumer = scene.join(1, priced).await?;
    scene.bus.publish_id("order-1").await?;
    wait_for_account(&scene.group, 1, 0).await?;
    let entries = scene.bus.processed().await?;
    let [entry] = &entries[..] else {
        panic!("{entries:?}")
    };
    let names = [
        "consumer_id",
        "length",
        "list",
        "message_id",
        "processed_at",
        "text",
    ];
    assert_eq!(entry.names(), names);
    assert_eq!(entry.text("message_id")?, "order-1");
    assert_eq!(entry.text("consumer_id")?, consumer.address());
    assert_eq!(entry.text("length")?, "7");
    assert_eq!(entry.text("text")?, "größer");
    assert_eq!(entry.text("list")?, "[1,null]");
    humantime::parse_rfc3339(&entry.text("processed_at")?)?;
    // Published again, it is a duplicate.
    scene.bus.publish_id("order-1").await?;
    wait_for_status(&scene.group, &json!({ "duplicate": 1, "processed": 1 })).await?;
    assert_eq!(scene.bus.processed().await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn of_a_batch_each_result_has_its_entry_or_none() -> Result<()> {
    const COUNT: usize = 2000;
    let scene = Scene::with(&[]).await?;
    scene.bus.publish_ids(&ids(COUNT)).await?;
    wait_for_status(&scene.group, &json!({ "queued": COUNT })).await?;
    let answer = |message: &Value| match message["message_id"].as_str() {
        Some(id) if id.ends_with('0') => json!({ "status": 200 }),
        Some(id) if id.ends_with('1') => json!({ "status": 422, "error": "one too many" }),
        _ => priced(message),
    };
    let consumer = scene.join(100, answer).await?;
    let (processed, failed) = (u64::try_from(COUNT * 9 / 10)?, u64::try_from(COUNT / 10)?);
    wait_for_account(&scene.group, processed, failed).await?;
    assert!(!consumer.requests("/processMessages").is_empty());
    let entries = scene.bus.processed().await?;
    assert!(bus::repeated(&entries)?.is_empty());
    let recorded = bus::ids(&entries)?;
    assert_eq!(recorded.len(), COUNT * 8 / 10);
    assert!(recorded.iter().all(|id| !id.ends_with(['0', '1'])));
    for entry in &entries {
        assert_eq!(entry.text("length")?, "5");
    }
    Ok(())
}

#[tokio::test]
async fn an_answer_that_comes_too_late_adds_nothing() -> Result<()> {
    let scene = Scene::with(&["--attemptTimeoutMs", "300"]).await?;
    let asked = AtomicUsize::new(0);
    let slow = FakeServer::start(move |request| match request.path.as_str() {
        "/health" => Reply::status(200),
        "/processMessage" => {
            let entry = json!({ "entry": { "attempt": asked.fetch_add(1, Ordering::Relaxed) } });
            let reply = Reply::json(200, &entry);
            match entry["entry"]["attempt"].as_u64() {
                Some(0) => Reply::Late(Duration::from_millis(900), Box::new(reply)),
                _ => reply,
            }
        }
        _ => Reply::status(404),
    })
    .await?;
    calls::register(&scene.group, &slow.address()).await?;
    wait_until_joined(&scene.group, &slow.address()).await?;
    scene.bus.publish_id("a").await?;
    wait_for_account(&scene.group, 1, 0).await?;
    wait_until("the late answer", PATIENCE, async || {
        Ok(slow.requests("/processMessage").len() >= 2)
    })
    .await?;
    let entries = scene.bus.processed().await?;
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].text("attempt")?, "1");
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_recorded_is_the_failure_of_who_answered_it() -> Result<()> {
    let scene = Scene::with(&["--maxAttempts", "2"]).await?;
    let _consumer = scene
        .join(1, |message| match message["message_id"].as_str() {
            Some("many") => {
                let fields: serde_json::Map<_, _> =
                    (0..4000).map(|n| (n.to_string(), json!(n))).collect();
                json!({ "entry": fields })
            }
            Some("large") => json!({ "entry": { "text": "x".repeat(1 << 20) } }),
            Some("huge") => json!({ "entry": { "text": "x".repeat(3 << 20) } }),
            Some("number") => json!({ "entry": 7 }),
            _ => json!({ "entry": { "text": "x".repeat(1 << 19) } }),
        })
        .await?;
    for id in ["many", "large", "huge", "number", "well"] {
        scene.bus.publish_id(id).await?;
    }
    wait_for_account(&scene.group, 1, 4).await?;
    assert_eq!(bus::ids(&scene.bus.processed().await?)?, ["well"]);
    for letter in scene.bus.failed().await? {
        let (id, error) = (letter.text("message_id")?, letter.text("last_error")?);
        assert_eq!(letter.text("reason")?, "attempts_exhausted");
        assert!(error.contains("cannot be recorded"), "{id}: {error}");
        let why = match &*id {
            "many" => "4003 fields, and the most is",
            "large" => "larger than 1048576 bytes",
            "huge" => "too long",
            _ => "invalid type: integer",
        };
        assert!(error.contains(why), "{id}: {error}");
    }
    Ok(())
}

#[tokio::test]
async fn it_is_recorded_when_redis_is_back() -> Result<()> {
    let scene = Scene::with(&[]).await?;
    let consumer = FakeServer::start(|request| match request.path.as_str() {
        "/processMessage" => {
            let reply = Reply::json(200, &json!({ "entry": { "a": 1 } }));
            Reply::Late(Duration::from_millis(500), Box::new(reply))
        }
        _ => Reply::status(200),
    })
    .await?;
    calls::register(&scene.group, &consumer.address()).await?;
    wait_until_joined(&scene.group, &consumer.address()).await?;
    scene.bus.publish_ids(&ids(20)).await?;
    wait_until("the consumer to have some", PATIENCE, async || {
        Ok(!consumer.requests("/processMessage").is_empty())
    })
    .await?;
    scene.redis.freeze()?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    scene.redis.thaw()?;
    wait_for_account(&scene.group, 20, 0).await?;
    let entries = scene.bus.processed().await?;
    assert_eq!(entries.len(), 20);
    assert!(bus::repeated(&entries)?.is_empty());
    Ok(())
}

#[tokio::test]
async fn what_stood_in_a_queue_that_was_emptied_is_done_again_and_recorded_once() -> Result<()> {
    let scene = Scene::with(&[]).await?;
    let consumer = FakeServer::start(|request| match request.path.as_str() {
        "/processMessage" => {
            let reply = Reply::json(200, &json!({ "entry": { "a": 1 } }));
            Reply::Late(Duration::from_secs(1), Box::new(reply))
        }
        _ => Reply::status(200),
    })
    .await?;
    calls::register(&scene.group, &consumer.address()).await?;
    wait_until_joined(&scene.group, &consumer.address()).await?;
    scene.bus.publish_id("a").await?;
    wait_until("the consumer to have it", PATIENCE, async || {
        Ok(consumer.requests("/processMessage").len() == 1)
    })
    .await?;
    let list = scene.bus.members().await?;
    let _: () = scene.bus.command(&["FLUSHALL"]).await?;
    let _: u64 = scene
        .bus
        .command(&["RPUSH", "consumer:ids", &list[0]])
        .await?;
    let entries = scene.bus.wait_for_processed(1).await?;
    assert_eq!(bus::ids(&entries)?, ["a"]);
    let told = status(&scene.group).await?;
    assert_eq!(told["dead_lettered"], 0, "{told}");
    let again = consumer.requests("/processMessage").len();
    assert_eq!(again, 2, "what was not recorded was done again");
    Ok(())
}

#[tokio::test]
async fn the_stream_is_kept_as_short_as_the_operator_says() -> Result<()> {
    let scene = Scene::with(&["--processedMaxLen", "100"]).await?;
    let _consumer = scene.join(100, priced).await?;
    scene.bus.publish_ids(&ids(3000)).await?;
    wait_for_account(&scene.group, 3000, 0).await?;
    let length = scene.bus.processed().await?.len();
    // Redis trims whole nodes of a hundred.
    assert!((100..=300).contains(&length), "{length}");
    let first = scene.bus.processed().await?;
    first.first().context("no entry")?.text("text")?;
    Ok(())
}
