//! A message is bound to a consumer when that can start on it, not before.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use harness::{
    Bus, FakeServer, PATIENCE, PrivateRedis, Reply, Service, calls,
    services::{group, redis, wait_for_account, wait_until_joined},
    status::{status, wait_for_status},
    wait_until,
};
use serde_json::{Value, json};

/// Nothing is given up, or counted against a consumer, for being slow.
const PATIENT: [&str; 2] = ["--attemptTimeoutMs", "60000"];

struct Scene {
    group: Service,
    bus: Bus,
    _redis: PrivateRedis,
}

impl Scene {
    async fn with(args: &[&str]) -> Result<Self> {
        let redis = redis().await?;
        let (group, bus) = (group(&redis, args).await?, Bus::of(&redis));
        Ok(Self {
            group,
            bus,
            _redis: redis,
        })
    }

    /// A consumer that says this of itself and answers messages so.
    async fn consumer(
        &self,
        health: Value,
        to_messages: impl Fn(&[u8]) -> Reply + Send + Sync + 'static,
    ) -> Result<FakeServer> {
        let consumer = FakeServer::start(move |request| match request.path.as_str() {
            "/health" => Reply::json(200, &health),
            _ => to_messages(&request.body),
        })
        .await?;
        calls::register(&self.group, &consumer.address()).await?;
        wait_until_joined(&self.group, &consumer.address()).await?;
        Ok(consumer)
    }

    async fn publish(&self, ids: &[String]) -> Result<()> {
        self.bus.publish_ids(ids).await?;
        Ok(())
    }
}

fn ids(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("m{number:04}")).collect()
}

/// An answer to one message or many: all is done.
fn done(body: &[u8]) -> Reply {
    let messages = body.iter().filter(|byte| **byte == b'\n').count();
    Reply::json(200, &json!({ "processed": messages }))
}

#[tokio::test]
async fn no_message_waits_for_a_busy_worker_while_another_is_free() -> Result<()> {
    for says in [
        json!({}),
        json!({ "concurrency": 1 }),
        json!({ "concurrency": 1, "max_batch": 100 }),
    ] {
        let scene = Scene::with(&PATIENT).await?;
        let _stuck = scene.consumer(says.clone(), |_| Reply::Silence).await?;
        scene.publish(&["first".to_owned()]).await?;
        wait_for_status(&scene.group, &json!({ "in_flight": 1 })).await?;
        let _well = scene.consumer(says.clone(), done).await?;
        scene.publish(&ids(300)).await?;
        // One that says nothing may be tried with another message after a while.
        let stuck_with = if says["concurrency"].is_null() { 4 } else { 1 };
        wait_until("the other to be given the rest", PATIENCE, async || {
            let status = status(&scene.group).await?;
            let processed = status["processed"].as_u64().context("no count")?;
            Ok(processed >= 301 - stuck_with)
        })
        .await?;
    }
    Ok(())
}

/// When requests came, with how many messages.
type Arrivals = Arc<Mutex<Vec<(Instant, usize)>>>;

/// How many messages were under way at once, when each request was answered so long after it came.
fn most_at_once(arrivals: &Arrivals, work: Duration) -> usize {
    let arrivals = arrivals.lock().unwrap_or_else(PoisonError::into_inner);
    let at_once = |at: Instant| {
        let arrivals = arrivals.iter();
        let unanswered = arrivals.filter(|(other, _)| *other <= at && at < *other + work);
        unanswered.map(|(_, messages)| messages).sum()
    };
    let counts = arrivals.iter().map(|(at, _)| at_once(*at));
    counts.max().unwrap_or_default()
}

#[tokio::test]
async fn a_declared_concurrency_is_never_exceeded() -> Result<()> {
    let one_by_one = json!({ "concurrency": 3 });
    let batches = json!({ "concurrency": 3, "max_batch": 100 });
    let cases = [(one_by_one, 2_u64, 300_usize), (batches, 100, 60)];
    for (says, millis, messages) in cases {
        let work = Duration::from_millis(millis);
        let scene = Scene::with(&PATIENT).await?;
        let arrivals = Arrivals::default();
        let seen = Arc::clone(&arrivals);
        let _consumer = scene
            .consumer(says.clone(), move |body| {
                let count = body.iter().filter(|byte| **byte == b'\n').count().max(1);
                let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                seen.push((Instant::now(), count));
                Reply::Late(work, Box::new(done(body)))
            })
            .await?;
        scene.publish(&ids(messages)).await?;
        wait_for_account(&scene.group, u64::try_from(messages)?, 0).await?;
        let most = most_at_once(&arrivals, work);
        assert!((2..=3).contains(&most), "{most} at once, {says}");
    }
    Ok(())
}

#[tokio::test]
async fn long_work_comes_one_by_one_also_to_a_worker_that_takes_batches() -> Result<()> {
    let scene = Scene::with(&PATIENT).await?;
    let says = json!({ "concurrency": 1, "max_batch": 100 });
    let late = |body: &[u8]| Reply::Late(Duration::from_millis(100), Box::new(done(body)));
    let consumer = scene.consumer(says, late).await?;
    scene.publish(&ids(20)).await?;
    wait_for_account(&scene.group, 20, 0).await?;
    assert!(consumer.requests("/processMessages").is_empty());
    let given = consumer.requests("/processMessage").into_iter();
    let given: Vec<Value> = given
        .map(|request| serde_json::from_slice(&request.body))
        .collect::<Result<_, _>>()?;
    let expected: Vec<_> = ids(20)
        .iter()
        .map(|id| json!({ "message_id": id }))
        .collect();
    assert_eq!(given, expected, "oldest first");
    Ok(())
}

#[tokio::test]
async fn one_message_that_hangs_does_not_keep_others_from_its_consumer() -> Result<()> {
    let scene = Scene::with(&["--attemptTimeoutMs", "60000", "--maxAttempts", "1"]).await?;
    let _consumer = scene
        .consumer(json!({}), |body| match body {
            body if body.windows(4).any(|part| part == b"sick") => Reply::status(500),
            body if body.windows(5).any(|part| part == b"hangs") => Reply::Silence,
            body => done(body),
        })
        .await?;
    // Not as many as would have it left out.
    scene
        .publish(&["sick1", "sick2", "sick3", "sick4"].map(str::to_owned))
        .await?;
    wait_for_account(&scene.group, 0, 4).await?;
    scene.publish(&["hangs".to_owned()]).await?;
    wait_for_status(&scene.group, &json!({ "in_flight": 1 })).await?;
    scene.publish(&ids(100)).await?;
    wait_until("all others to be processed", PATIENCE, async || {
        Ok(status(&scene.group).await?["processed"] == 100)
    })
    .await
}

#[tokio::test]
async fn what_waits_for_a_worker_that_becomes_slow_goes_to_the_others() -> Result<()> {
    let scene = Scene::with(&PATIENT).await?;
    let slow = Arc::new(Mutex::new(false));
    let is_slow = Arc::clone(&slow);
    let says = json!({ "concurrency": 1 });
    let _stuck_later = scene
        .consumer(says.clone(), move |body| {
            let is_slow = is_slow.lock().unwrap_or_else(PoisonError::into_inner);
            if *is_slow { Reply::Silence } else { done(body) }
        })
        .await?;
    // It is quick, so that messages are brought to its outbox while it works.
    scene.publish(&ids(2000)).await?;
    wait_for_account(&scene.group, 2000, 0).await?;
    *slow.lock().unwrap_or_else(PoisonError::into_inner) = true;
    let more: Vec<_> = (0..500).map(|number| format!("n{number}")).collect();
    scene.publish(&more).await?;
    wait_until(
        "the slow one to have one, and no more",
        PATIENCE,
        async || {
            let status = status(&scene.group).await?;
            let left =
                ["in_flight", "queued"].map(|name| status[name].as_u64().unwrap_or_default());
            Ok(left.iter().sum::<u64>() == 500 && status["consumers"][0]["in_flight"] == 1)
        },
    )
    .await?;
    let _well = scene.consumer(says, done).await?;
    wait_until("the other to be given the rest", PATIENCE, async || {
        Ok(status(&scene.group).await?["processed"] == 2499)
    })
    .await
}
