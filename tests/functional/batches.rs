//! A consumer that says so is given many messages in one request.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use anyhow::{Context, Result};
use harness::{
    Bus, FakeServer, Ledger, PATIENCE, PrivateRedis, Reply, Service, calls,
    services::{self, group, redis, wait_for_account, wait_until_joined},
    status::{status, wait_for_status},
    wait_until,
};
use serde_json::{Value, json};

/// A group whose messages wait for a first consumer.
struct Scene {
    redis: PrivateRedis,
    group: Service,
    bus: Bus,
}

impl Scene {
    async fn with(ids: &[String], group_args: &[&str]) -> Result<Self> {
        let redis = redis().await?;
        let (group, bus) = (group(&redis, group_args).await?, Bus::of(&redis));
        bus.publish_ids(ids).await?;
        wait_for_status(&group, &json!({ "queued": ids.len() })).await?;
        Ok(Self { redis, group, bus })
    }

    async fn join(&self, consumer: &FakeServer) -> Result<()> {
        let answer = calls::register(&self.group, &consumer.address()).await?;
        assert_eq!(answer.status, 200, "{answer:?}");
        wait_until_joined(&self.group, &consumer.address()).await
    }
}

fn ids(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("m{number:04}")).collect()
}

/// The messages of a request, one a line.
fn lines(body: &[u8]) -> Vec<Value> {
    let lines = body
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty());
    lines
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect()
}

/// A consumer that takes so many messages at once, answers single ones well, and batches as told.
async fn batch_consumer(
    max_batch: Arc<AtomicU32>,
    answer: impl Fn(&[Value]) -> Reply + Send + Sync + 'static,
) -> Result<FakeServer> {
    FakeServer::start(move |request| match request.path.as_str() {
        "/health" => {
            let max_batch = max_batch.load(Ordering::Relaxed);
            Reply::json(200, &json!({ "message": "well", "max_batch": max_batch }))
        }
        "/processMessage" => Reply::status(200),
        "/processMessages" => answer(&lines(&request.body)),
        _ => Reply::status(404),
    })
    .await
}

fn all_processed(messages: &[Value]) -> Reply {
    Reply::json(200, &json!({ "processed": messages.len() }))
}

/// The ids it was given, in order of the ids, and how many came with each batch.
fn given(consumer: &FakeServer) -> Result<(Vec<String>, Vec<usize>)> {
    let batches: Vec<_> = consumer
        .requests("/processMessages")
        .iter()
        .map(|request| lines(&request.body))
        .collect();
    let sizes = batches.iter().map(Vec::len).collect();
    let single = consumer.requests("/processMessage");
    let single = single.iter().flat_map(|request| lines(&request.body));
    let mut ids = Vec::new();
    for message in batches.into_iter().flatten().chain(single) {
        let id = message["message_id"].as_str().context("no id")?;
        ids.push(id.to_owned());
    }
    ids.sort();
    Ok((ids, sizes))
}

#[tokio::test]
async fn what_waits_goes_in_batches_as_large_as_the_consumer_takes() -> Result<()> {
    let ids = ids(2000);
    let scene = Scene::with(&ids, &[]).await?;
    let consumer = batch_consumer(Arc::new(100.into()), all_processed).await?;
    scene.join(&consumer).await?;
    wait_for_account(&scene.group, 2000, 0).await?;
    let (given, sizes) = given(&consumer)?;
    assert_eq!(given, ids, "each once");
    assert_eq!(sizes.iter().max(), Some(&100), "{sizes:?}");
    let requests = sizes.len() + consumer.requests("/processMessage").len();
    assert!(requests < 500, "{requests} requests");
    Ok(())
}

#[tokio::test]
async fn a_batch_is_as_small_as_the_operator_says() -> Result<()> {
    let ids = ids(300);
    for (most, args) in [(1, ["--maxBatch", "1"]), (7, ["--maxBatch", "7"])] {
        let scene = Scene::with(&ids, &args).await?;
        let consumer = batch_consumer(Arc::new(100.into()), all_processed).await?;
        scene.join(&consumer).await?;
        wait_for_account(&scene.group, 300, 0).await?;
        let (given, sizes) = given(&consumer)?;
        assert_eq!(given, ids);
        assert!(
            sizes.iter().all(|size| *size > 1 && *size <= most),
            "{sizes:?}"
        );
        assert_eq!(sizes.is_empty(), most == 1);
    }
    Ok(())
}

#[tokio::test]
async fn a_consumer_that_says_it_takes_batches_and_does_not_is_given_single_messages() -> Result<()>
{
    let ids = ids(300);
    for refusal in [400, 404, 405, 413, 415, 422, 501] {
        let scene = Scene::with(&ids, &["--maxAttempts", "1"]).await?;
        let consumer =
            batch_consumer(Arc::new(100.into()), move |_| Reply::status(refusal)).await?;
        scene.join(&consumer).await?;
        wait_for_account(&scene.group, 300, 0).await?;
        let single = consumer.requests("/processMessage");
        let mut given: Vec<_> = single
            .iter()
            .flat_map(|request| lines(&request.body))
            .collect();
        given.sort_by_key(|message| message["message_id"].to_string());
        let expected: Vec<_> = ids.iter().map(|id| json!({ "message_id": id })).collect();
        assert_eq!(given, expected, "{refusal}");
        // No more than were under way when the first was refused.
        let refused = consumer.requests("/processMessages").len();
        assert!((1..=2).contains(&refused), "{refused}");
    }
    Ok(())
}

/// One whose id ends in 3 is sick; in 5, bad; in 7, processed before.
fn mixed(messages: &[Value]) -> Reply {
    let result = |message: &Value| match message["message_id"].to_string().trim_matches('"') {
        id if id.ends_with('3') => json!({ "status": 500, "error": "sick" }),
        id if id.ends_with('5') => json!({ "status": 422, "error": "bad" }),
        id if id.ends_with('7') => json!({ "status": 200, "result": "duplicate" }),
        _ => json!({ "status": 200 }),
    };
    let results: Vec<_> = messages.iter().map(result).collect();
    Reply::json(200, &json!({ "results": results }))
}

#[tokio::test]
async fn each_message_of_a_batch_ends_in_its_own_way() -> Result<()> {
    let ids = ids(200);
    let scene = Scene::with(&ids, &[]).await?;
    let fake = batch_consumer(Arc::new(100.into()), mixed).await?;
    scene.join(&fake).await?;
    scene.bus.wait_for_failed(1).await?;
    let another = services::consumer(&scene.redis, &scene.group, &[]).await?;
    wait_for_status(&scene.group, &json!({ "queued": 0, "in_flight": 0 })).await?;

    let (given, _) = given(&fake)?;
    let failed = scene.bus.failed().await?;
    assert!(!failed.is_empty());
    for entry in &failed {
        assert!(entry.text("message_id")?.ends_with('5'));
        assert_eq!(entry.text("reason")?, "rejected");
        assert_eq!(entry.text("attempts")?, "1");
        assert!(entry.text("last_error")?.ends_with("bad"), "{entry:?}");
    }
    // What the other one processed: what was sick, and what was never the first one's.
    for entry in scene.bus.processed().await? {
        assert_eq!(entry.text("consumer_id")?, another.address());
        let id = entry.text("message_id")?;
        assert!(
            id.ends_with('3') || !given.contains(&id),
            "{id} was done twice"
        );
    }
    let account = status(&scene.group).await?;
    let duplicates = account["duplicate"].as_u64().context("no count")?;
    assert!(duplicates > 0, "{account}");
    assert_eq!(account["dead_lettered"], failed.len());
    assert_eq!(account["received"], 200);
    Ok(())
}

#[tokio::test]
async fn what_an_answer_to_a_batch_leaves_out_is_tried_elsewhere() -> Result<()> {
    for answer in [r#"{"processed":1}"#, r#"{"results":[]}"#, "OK", ""] {
        let ids = ids(100);
        let scene = Scene::with(&ids, &[]).await?;
        let reply = Reply::Answer(200, Vec::new(), answer.to_owned());
        let fake = batch_consumer(Arc::new(100.into()), move |_| reply.clone()).await?;
        scene.join(&fake).await?;
        wait_until("a batch", PATIENCE, async || {
            Ok(!fake.requests("/processMessages").is_empty())
        })
        .await?;
        let _another = services::consumer(&scene.redis, &scene.group, &[]).await?;
        wait_for_account(&scene.group, 100, 0).await?;
        let mut done = harness::bus::ids(&scene.bus.processed().await?)?;
        // A message that comes alone is well answered by the fake one, too.
        let single = fake.requests("/processMessage");
        let single = single.iter().flat_map(|request| lines(&request.body));
        done.extend(single.filter_map(|message| message["message_id"].as_str().map(str::to_owned)));
        for id in &ids {
            assert!(done.contains(id), "{id} was lost after {answer}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_message_of_many_lines_goes_alone_and_as_it_was_published() -> Result<()> {
    let scene = Scene::with(&ids(50), &[]).await?;
    let spread = "{\n  \"message_id\": \"spread\",\r\n  \"n\": 1e3\n}\n";
    scene.bus.publish(spread).await?;
    scene.bus.publish_ids(&["last".to_owned()]).await?;
    wait_for_status(&scene.group, &json!({ "queued": 52 })).await?;
    let consumer = batch_consumer(Arc::new(100.into()), all_processed).await?;
    scene.join(&consumer).await?;
    wait_for_account(&scene.group, 52, 0).await?;
    let single = consumer.requests("/processMessage");
    let spread = single
        .iter()
        .filter(|request| request.body == spread.as_bytes());
    assert_eq!(spread.count(), 1);
    Ok(())
}

/// Waits until the group knows how many messages its only consumer takes at once.
async fn wait_for_max_batch(group: &Service, expected: u32) -> Result<()> {
    wait_until("the group to learn it", PATIENCE, async || {
        Ok(status(group).await?["consumers"][0]["max_batch"] == expected)
    })
    .await
}

#[tokio::test]
async fn what_a_consumer_takes_is_learned_when_it_registers_and_when_it_is_checked() -> Result<()> {
    let redis = redis().await?;
    let seldom = group(&redis, &[]).await?;
    let max_batch = Arc::new(AtomicU32::new(1));
    let consumer = batch_consumer(Arc::clone(&max_batch), all_processed).await?;
    calls::register(&seldom, &consumer.address()).await?;
    wait_until_joined(&seldom, &consumer.address()).await?;
    wait_for_max_batch(&seldom, 1).await?;
    max_batch.store(30, Ordering::Relaxed);
    calls::register(&seldom, &consumer.address()).await?;
    wait_for_max_batch(&seldom, 30).await?;

    let often = group(&redis, &["--healthCheckIntervalSeconds", "1"]).await?;
    wait_for_max_batch(&often, 30).await?;
    max_batch.store(40, Ordering::Relaxed);
    wait_for_max_batch(&often, 40).await
}

#[tokio::test]
async fn real_consumers_take_batches_and_each_message_becomes_one_entry() -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    let mut ledger = Ledger::default();
    ledger.publish(&bus, 5000).await;
    let _one = services::consumer(&redis, &group, &[]).await?;
    let two = services::consumer(&redis, &group, &[]).await?;
    ledger.publish(&bus, 5000).await;
    wait_until("both to be known for their batches", PATIENCE, async || {
        let status = status(&group).await?;
        let consumers = status["consumers"].as_array().map(Vec::as_slice);
        let mut consumers = consumers.unwrap_or_default().iter();
        Ok(consumers.len() == 2 && consumers.all(|consumer| consumer["max_batch"] == 512))
    })
    .await?;
    ledger.publish(&bus, 5000).await;
    let account = ledger.wait_until_balanced(&bus).await?;
    assert_eq!(account.processed.len(), 15_000);
    assert!(account.failed.is_empty(), "{:?}", account.failed);
    drop(two);
    Ok(())
}
