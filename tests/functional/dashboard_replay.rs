//! `POST /deadLetters/replay`: who may, and that nothing is processed twice by it.

use anyhow::Result;
use harness::{
    Bus, PrivateRedis, Service, bus, calls,
    services::{consumer, group, redis},
};
use reqwest::{Client, header::CONTENT_TYPE};
use serde_json::{Value, json};

const PATH: &str = "/deadLetters/replay";

async fn scene() -> Result<(PrivateRedis, Service, Bus)> {
    let redis = redis().await?;
    let args = ["--dashboardReplay", "true"];
    let group = group(&redis, &args).await?;
    let bus = Bus::of(&redis);
    Ok((redis, group, bus))
}

fn counts(sent: u64, processed: u64) -> Value {
    json!({
        "sent": sent, "processed": processed, "malformed": 0, "repeated": 0, "gone": 0,
        "is_complete": true,
    })
}

#[tokio::test]
async fn it_is_refused_unless_the_operator_wants_it() -> Result<()> {
    let redis = redis().await?;
    let group = group(&redis, &[]).await?;
    let answer = calls::post(&group, PATH, &json!({ "all": true })).await?;
    assert_eq!(answer.status, 403);
    assert!(answer.error()?.contains("--dashboardReplay"), "{answer:?}");
    Ok(())
}

#[tokio::test]
async fn pages_of_other_sites_cannot_ask_for_it() -> Result<()> {
    let (_redis, group, bus) = scene().await?;
    bus.fail(&["a"]).await?;
    for (name, value) in [
        ("origin", "http://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
    ] {
        let request = Client::new().post(group.url(PATH)).header(name, value);
        let request = request.header(CONTENT_TYPE, "application/json");
        let status = request.body(r#"{"all":true}"#).send().await?.status();
        assert_eq!(status, 403, "{name}: {value}");
    }
    // What a form can send without being asked.
    for kind in ["text/plain", "application/x-www-form-urlencoded"] {
        let answer = calls::post_raw(&group, PATH, Some(kind), r#"{"all":true}"#).await?;
        assert_eq!(answer.status, 400, "{kind}");
    }
    assert_eq!(bus.failed().await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn what_was_processed_is_left_out() -> Result<()> {
    let (redis, group, bus) = scene().await?;
    let _consumer = consumer(&redis, &group, &[]).await?;
    bus.publish_id("done").await?;
    bus.wait_for_processed(1).await?;
    bus.fail(&["done", "b", "c"]).await?;
    let answer = calls::post(&group, PATH, &json!({ "all": true })).await?;
    assert_eq!((answer.status, answer.body), (200, counts(2, 1)));
    let processed = bus.wait_for_processed(3).await?;
    let mut ids = bus::ids(&processed)?;
    ids.sort_unstable();
    assert_eq!(ids, ["b", "c", "done"]);
    assert_eq!(bus::ids(&bus.failed().await?)?, ["done"]);
    Ok(())
}

#[tokio::test]
async fn letters_are_chosen_by_entry_by_reason_or_all() -> Result<()> {
    let (redis, group, bus) = scene().await?;
    let _consumer = consumer(&redis, &group, &[]).await?;
    bus.fail(&["a", "b"]).await?;
    let listed = calls::get(&group, "/deadLetters").await?;
    let id = listed.body["letters"][0]["id"].clone();
    let chosen = json!({ "ids": [id, "1-1"] });
    let answer = calls::post(&group, PATH, &chosen).await?;
    assert_eq!(answer.body["sent"], 1, "{answer:?}");
    assert_eq!(answer.body["gone"], 1, "{answer:?}");
    let other = json!({ "reason": "rejected" });
    let answer = calls::post(&group, PATH, &other).await?;
    assert_eq!(answer.body, counts(0, 0));
    let reason = json!({ "reason": "attempts_exhausted" });
    let answer = calls::post(&group, PATH, &reason).await?;
    assert_eq!(answer.body, counts(1, 0));
    for bad in [json!({}), json!({ "ids": ["a"] }), json!({ "all": false })] {
        let answer = calls::post(&group, PATH, &bad).await?;
        assert_eq!(answer.status, 400, "{bad}");
    }
    Ok(())
}
