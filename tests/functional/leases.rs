//! Workers that fetch their messages over HTTP.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use harness::{
    Bus, FakeConsumer, PATIENCE, PrivateRedis, Reply, Service, bus,
    calls::{Answer, post, post_to},
    services::{group, redis, wait_for_account},
    status::{status, wait_for_status},
    wait_until,
};
use serde_json::{Value, json};

/// A group, and workers that ask it.
pub(crate) struct Scene {
    pub(crate) redis: PrivateRedis,
    pub(crate) group: Service,
    pub(crate) bus: Bus,
}

impl Scene {
    pub(crate) async fn with(group_args: &[&str]) -> Result<Self> {
        let redis = redis().await?;
        let (group, bus) = (group(&redis, group_args).await?, Bus::of(&redis));
        Ok(Self { redis, group, bus })
    }

    pub(crate) async fn publish(&self, count: usize) -> Result<()> {
        let ids: Vec<_> = (0..count).map(|number| format!("m{number:04}")).collect();
        self.bus.publish_ids(&ids).await?;
        Ok(())
    }
}

/// What a worker has fetched: leases with their messages.
pub(crate) type Fetched = Vec<(String, Value)>;

/// Fetches messages for a worker of this name.
pub(crate) async fn lease(
    group: &Service,
    name: &str,
    most: usize,
    seconds: f64,
) -> Result<Fetched> {
    let request = json!({
        "consumer_id": name, "max_messages": most, "wait_seconds": 2, "lease_seconds": seconds,
    });
    let answer = post(group, "/messages/lease", &request).await?;
    ensure!(answer.status == 200, "{answer:?}");
    let messages = answer.body["messages"].as_array().context("no messages")?;
    let leased = messages.iter().map(|leased| {
        let lease = leased["lease"].as_str().context("no lease")?;
        Ok((lease.to_owned(), leased["message"].clone()))
    });
    leased.collect()
}

/// Fetches until it has so many.
async fn lease_all(group: &Service, name: &str, count: usize, seconds: f64) -> Result<Fetched> {
    let all = tokio::sync::Mutex::new(Vec::new());
    wait_until("all messages to be fetched", PATIENCE, async || {
        let mut all = all.lock().await;
        let missing = count - all.len();
        all.extend(lease(group, name, missing, seconds).await?);
        Ok(all.len() == count)
    })
    .await?;
    Ok(all.into_inner())
}

/// Says the same of each.
pub(crate) async fn settle(
    group: &Service,
    fetched: &Fetched,
    outcome: &Value,
) -> Result<Vec<u64>> {
    let outcomes = fetched.iter().map(|(lease, _)| {
        let mut outcome = outcome.clone();
        outcome["lease"] = json!(lease);
        outcome
    });
    let outcomes = json!({ "outcomes": outcomes.collect::<Vec<_>>() });
    statuses(&post(group, "/messages/settle", &outcomes).await?)
}

async fn extend(group: &Service, fetched: &Fetched, seconds: f64) -> Result<Vec<u64>> {
    let leases: Vec<_> = fetched.iter().map(|(lease, _)| lease).collect();
    let request = json!({ "leases": leases, "lease_seconds": seconds });
    statuses(&post(group, "/messages/extend", &request).await?)
}

fn statuses(answer: &Answer) -> Result<Vec<u64>> {
    ensure!(answer.status == 200, "{answer:?}");
    let results = answer.body["results"].as_array().context("no results")?;
    let status = |result: &Value| result["status"].as_u64().context("no status");
    results.iter().map(status).collect()
}

fn ids(fetched: &Fetched) -> Vec<&str> {
    let ids = fetched.iter();
    ids.map(|(_, message)| message["message_id"].as_str().unwrap_or("none"))
        .collect()
}

#[tokio::test]
async fn what_is_fetched_and_settled_is_recorded_once() -> Result<()> {
    const COUNT: usize = 1200;
    let scene = Scene::with(&[]).await?;
    scene.publish(COUNT).await?;
    let mut left = COUNT;
    while left > 0 {
        let fetched = lease(&scene.group, "laptop-7", 500, 30.0).await?;
        ensure!(!fetched.is_empty(), "{left} are left");
        left -= fetched.len();
        let entry = json!({ "entry": { "total": 1.5, "text": "größer" } });
        let told = settle(&scene.group, &fetched, &entry).await?;
        assert!(told.iter().all(|status| *status == 200), "{told:?}");
        // Once more is too late.
        let told = settle(&scene.group, &fetched, &entry).await?;
        assert!(told.iter().all(|status| *status == 409), "{told:?}");
    }
    wait_for_account(&scene.group, COUNT.try_into()?, 0).await?;
    let entries = scene.bus.processed().await?;
    assert_eq!(entries.len(), COUNT);
    assert!(bus::repeated(&entries)?.is_empty());
    for entry in &entries {
        assert_eq!(entry.text("consumer_id")?, "laptop-7");
        assert_eq!(entry.text("total")?, "1.5");
        assert_eq!(entry.text("text")?, "größer");
    }
    let status = status(&scene.group).await?;
    let worker = &status["consumers"][0];
    assert_eq!(worker["consumer_id"], "laptop-7", "{status}");
    assert_eq!(worker["state"], "fetching", "{status}");
    assert_eq!(worker["in_flight"], 0, "{status}");
    assert_eq!(worker["outcomes"]["delivered"], COUNT, "{status}");
    let keys: Vec<String> = scene.bus.command(&["KEYS", "*lease*"]).await?;
    assert!(keys.is_empty(), "{keys:?}");
    Ok(())
}

#[tokio::test]
async fn every_outcome_is_what_it_is_elsewhere() -> Result<()> {
    let scene = Scene::with(&["--maxAttempts", "2"]).await?;
    scene.publish(5).await?;
    let fetched = lease_all(&scene.group, "a", 5, 30.0).await?;
    let outcomes = [
        json!({ "status": 422, "error": "no such customer" }),
        json!({ "status": 500, "retry_after": 1 }),
        json!({ "status": 500, "error": "out of paper" }),
        json!({ "result": "duplicate" }),
        json!({ "entry": { "list": (0..4000).collect::<Vec<_>>() , "a": 7 }, "status": 201 }),
    ];
    let begun = Instant::now();
    for (one, outcome) in fetched.iter().zip(&outcomes) {
        assert_eq!(
            settle(&scene.group, &vec![one.clone()], outcome).await?,
            [200]
        );
    }
    // What was put off and what failed come again; then the one is well, and the other fails again.
    let again = lease_all(&scene.group, "a", 2, 30.0).await?;
    assert!(begun.elapsed() > Duration::from_secs(1));
    for one in again {
        let is_failure = one.1["message_id"] == fetched[2].1["message_id"];
        let outcome = match is_failure {
            true => json!({ "status": 500, "error": "out of paper again" }),
            false => json!({}),
        };
        assert_eq!(settle(&scene.group, &vec![one], &outcome).await?, [200]);
    }
    let ended =
        json!({ "processed": 2, "duplicate": 1, "dead_lettered": 2, "in_flight": 0, "queued": 0 });
    wait_for_status(&scene.group, &ended).await?;
    let letters = scene.bus.failed().await?;
    for (letter, reason, error) in [
        (&letters[0], "rejected", "no such customer"),
        (&letters[1], "attempts_exhausted", "out of paper again"),
    ] {
        assert_eq!(letter.text("reason")?, reason);
        let told = letter.text("last_error")?;
        assert!(told.contains(error), "{told}");
    }
    assert_eq!(scene.bus.processed().await?.len(), 1, "one has an entry");
    Ok(())
}

#[tokio::test]
async fn what_is_not_settled_in_time_goes_to_another_and_what_is_extended_does_not() -> Result<()> {
    let scene = Scene::with(&[]).await?;
    scene.publish(100).await?;
    let dead = lease_all(&scene.group, "dead", 100, 2.0).await?;
    let (mut dead, alive) = {
        let mut dead = dead;
        let alive = dead.split_off(90);
        (dead, alive)
    };
    assert!(
        extend(&scene.group, &alive, 3600.0)
            .await?
            .iter()
            .all(|status| *status == 200)
    );
    let others = lease_all(&scene.group, "other", 90, 30.0).await?;
    let mut elsewhere = ids(&others);
    elsewhere.sort_unstable();
    dead.sort_by_key(|(_, message)| message["message_id"].to_string());
    assert_eq!(elsewhere, ids(&dead));
    let entry = |name: &str| json!({ "entry": { "by": name } });
    let late = settle(&scene.group, &dead, &entry("dead")).await?;
    assert!(late.iter().all(|status| *status == 409), "{late:?}");
    assert!(
        extend(&scene.group, &dead, 30.0)
            .await?
            .iter()
            .all(|status| *status == 409)
    );
    let told = settle(&scene.group, &others, &entry("other")).await?;
    assert!(told.iter().all(|status| *status == 200), "{told:?}");
    let told = settle(&scene.group, &alive, &entry("alive")).await?;
    assert!(told.iter().all(|status| *status == 200), "{told:?}");
    wait_for_account(&scene.group, 100, 0).await?;
    let entries = scene.bus.processed().await?;
    let by = |name| {
        entries
            .iter()
            .filter(|entry| entry.text("by").is_ok_and(|by| by == name))
            .count()
    };
    assert_eq!((entries.len(), by("other"), by("alive")), (100, 90, 10));
    Ok(())
}

#[tokio::test]
async fn messages_go_to_those_who_fetch_and_to_those_who_are_pushed_to() -> Result<()> {
    let scene = Scene::with(&[]).await?;
    let pushed = FakeConsumer::join(&scene.group, Reply::status(200)).await?;
    let mut fetched = 0;
    for round in 0..20 {
        let ids: Vec<_> = (0..20).map(|number| format!("{round} {number}")).collect();
        let (leased, published) = tokio::join!(
            lease(&scene.group, "a", 10, 30.0),
            scene.bus.publish_ids(&ids)
        );
        let (leased, _) = (leased?, published?);
        fetched += leased.len();
        settle(&scene.group, &leased, &json!({ "entry": {} })).await?;
    }
    wait_for_account(&scene.group, 400, 0).await?;
    assert!(
        fetched > 0 && !pushed.received()?.is_empty(),
        "{fetched} of 400 were fetched"
    );
    assert_eq!(scene.bus.processed().await?.len(), fetched);
    Ok(())
}

#[tokio::test]
async fn a_request_waits_for_messages_and_not_for_the_end_of_the_group() -> Result<()> {
    let mut scene = Scene::with(&[]).await?;
    let request = json!({ "consumer_id": "a", "max_messages": 5, "wait_seconds": 20 });
    let begun = Instant::now();
    let (answer, published) =
        tokio::join!(post(&scene.group, "/messages/lease", &request), async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            scene.publish(1).await
        });
    published?;
    assert_eq!(answer?.body["messages"].as_array().map(Vec::len), Some(1));
    assert!(begun.elapsed() < Duration::from_secs(10));
    let url = scene.group.url("/messages/lease");
    let begun = Instant::now();
    let (answer, ended) = tokio::join!(post_to(&url, &request), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        scene.group.terminate(PATIENCE).await
    });
    ended?;
    assert_eq!(answer?.body["messages"].as_array().map(Vec::len), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(10));
    Ok(())
}
