//! What the dashboard is made of: the files, the events, the list of dead letters.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use harness::{
    Bus, FakeConsumer, Reply, Service, calls,
    services::{consumer, group, redis},
    status::adds_up,
};
use reqwest::{Client, Response, header::HeaderMap};
use serde_json::{Value, json};

/// How many may watch at once.
const SEATS: usize = 32;

/// How long a group may take to end while somebody watches: much less than open connections are given.
const END_DEADLINE: Duration = Duration::from_secs(4);

/// `GET /events`.
struct Events {
    response: Response,
    text: String,
}

impl Events {
    async fn of(group: &Service) -> Result<Self> {
        let response = Client::new().get(group.url("/events")).send().await?;
        let text = String::new();
        Ok(Self { response, text })
    }

    /// The next event with this name.
    async fn next(&mut self, name: &str) -> Result<Value> {
        loop {
            while let Some((event, rest)) = self.text.split_once("\n\n") {
                let event = event.to_owned();
                self.text = rest.to_owned();
                let field = |key: &str| event.lines().find_map(|line| line.strip_prefix(key));
                if field("event: ") == Some(name) {
                    let data = field("data: ").context("no data")?;
                    return Ok(serde_json::from_str(data)?);
                }
            }
            let chunk = self.response.chunk().await?.context("the stream ended")?;
            self.text.push_str(std::str::from_utf8(&chunk)?);
        }
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers
        .get(name)
        .map_or("", |value| value.to_str().unwrap_or(""))
}

#[tokio::test]
async fn the_page_and_its_files_are_served_with_what_protects_them() -> Result<()> {
    let redis = redis().await?;
    let group = group(&redis, &[]).await?;
    for (path, kind) in [
        ("/", "text/html"),
        ("/assets/style.css", "text/css"),
        ("/assets/app.js", "text/javascript"),
        ("/assets/uplot/uPlot.iife.min.js", "text/javascript"),
        ("/assets/uplot/LICENSE", "text/plain"),
        ("/assets/icon.svg", "image/svg+xml"),
    ] {
        let answer = Client::new().get(group.url(path)).send().await?;
        let headers = answer.headers();
        assert_eq!(answer.status(), 200, "{path}");
        assert!(header(headers, "content-type").starts_with(kind), "{path}");
        let policy = header(headers, "content-security-policy");
        assert!(policy.contains("default-src 'self'"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert_eq!(header(headers, "x-content-type-options"), "nosniff");
        let tag = header(headers, "etag").to_owned();
        let again = Client::new()
            .get(group.url(path))
            .header("if-none-match", tag);
        assert_eq!(again.send().await?.status(), 304, "{path}");
    }
    assert_eq!(
        calls::get(&group, "/assets/../Cargo.toml").await?.status,
        404
    );
    assert_eq!(calls::get(&group, "/assets/nothing").await?.status, 404);
    Ok(())
}

#[tokio::test]
async fn events_begin_with_the_history_and_tell_the_account_every_second() -> Result<()> {
    let redis = redis().await?;
    let group = group(&redis, &[]).await?;
    let _consumer = consumer(&redis, &group, &[]).await?;
    let mut events = Events::of(&group).await?;
    let kind = header(events.response.headers(), "content-type").to_owned();
    assert_eq!(kind, "text/event-stream");
    let history = events.next("history").await?;
    assert_eq!(history["may_replay"], false);
    assert!(history["points"].is_array());
    Bus::of(&redis).publish_id("a").await?;
    let processed = loop {
        let snapshot = events.next("snapshot").await?;
        ensure!(adds_up(&snapshot["status"]), "{snapshot} does not add up");
        if snapshot["status"]["processed"] == 1 {
            break snapshot;
        }
    };
    assert_eq!(processed["redis"]["trouble"], Value::Null);
    assert_eq!(processed["readers"][0]["is_this"], true, "{processed}");
    // What happened before somebody else came is in the history.
    let history = Events::of(&group).await?.next("history").await?;
    let points = history["points"].as_array().context("no points")?;
    let rates = points.iter().filter_map(|point| point[2].as_f64());
    assert!(rates.sum::<f64>() > 0.0, "{points:?}");
    Ok(())
}

#[tokio::test]
async fn events_tell_who_reads_the_queue_and_how_old_it_is() -> Result<()> {
    let redis = redis().await?;
    let group = group(&redis, &[]).await?;
    let _stuck = FakeConsumer::join(&group, Reply::Silence).await?;
    Bus::of(&redis).publish_id("a").await?;
    let mut events = Events::of(&group).await?;
    loop {
        let snapshot = events.next("snapshot").await?;
        let age = snapshot["oldest_seconds"].as_f64().unwrap_or_default();
        let this = snapshot["readers"][0]["is_this"] == true;
        if this && age > 1.0 {
            assert_eq!(snapshot["readers"][0]["pending"], 1, "{snapshot}");
            return Ok(());
        }
    }
}

#[tokio::test]
async fn those_who_watch_are_bounded_and_do_not_keep_the_group_from_ending() -> Result<()> {
    let redis = redis().await?;
    let mut group = group(&redis, &[]).await?;
    let mut watching = Vec::new();
    for _ in 0..SEATS {
        let mut events = Events::of(&group).await?;
        events.next("history").await?;
        watching.push(events);
    }
    let one_more = Client::new().get(group.url("/events")).send().await?;
    assert_eq!(one_more.status(), 503);
    assert_eq!(header(one_more.headers(), "retry-after"), "10");
    let status = group.terminate(END_DEADLINE).await?;
    assert!(status.success(), "{status}");
    let log = group.logs().join("\n");
    assert!(!log.contains("were cut"), "{log}");
    // All of them were told the end.
    for mut events in watching {
        while events.response.chunk().await?.is_some() {}
    }
    Ok(())
}

#[tokio::test]
async fn dead_letters_are_listed_page_by_page_with_payloads_cut() -> Result<()> {
    let redis = redis().await?;
    let group = group(&redis, &[]).await?;
    let bus = Bus::of(&redis);
    let _consumer = FakeConsumer::join(&group, Reply::status(422)).await?;
    let text = "x".repeat(10_000);
    bus.publish(json!({ "message_id": "long", "text": text }).to_string())
        .await?;
    bus.wait_for_failed(1).await?;
    bus.fail(&["b", "c"]).await?;
    let list = async |query: &str| -> Result<Vec<Value>> {
        let answer = calls::get(&group, &format!("/deadLetters{query}")).await?;
        ensure!(answer.status == 200, "{answer:?}");
        Ok(answer.body["letters"]
            .as_array()
            .cloned()
            .unwrap_or_default())
    };
    let ids = |letters: &[Value]| -> Vec<Value> {
        letters
            .iter()
            .map(|letter| letter["message_id"].clone())
            .collect()
    };
    assert_eq!(ids(&list("").await?), ["c", "b", "long"]);
    let first = list("?limit=2").await?;
    assert_eq!(ids(&first), ["c", "b"]);
    let last = first[1]["id"].as_str().context("no id")?;
    let rest = list(&format!("?before={last}")).await?;
    assert_eq!(ids(&rest), ["long"]);
    assert_eq!(rest[0]["is_cut"], true);
    assert_eq!(rest[0]["payload"].as_str().map(str::len), Some(4096));
    assert_eq!(first[0]["is_cut"], false);
    for query in [
        "?limit=0",
        "?limit=101",
        "?limit=18446744073709551616",
        "?before=a",
        "?before=1-",
        "?other=1",
    ] {
        let answer = calls::get(&group, &format!("/deadLetters{query}")).await?;
        assert_eq!(answer.status, 400, "{query}: {answer:?}");
    }
    Ok(())
}
