//! A consumer says how many messages it works on at once, in its health or when it registers.

use anyhow::Result;
use harness::{
    FakeServer, PATIENCE, Reply, Service,
    calls::{self, post},
    services::{self, consumer_without_group, group, redis, wait_until_joined},
    status::status,
    wait_until,
};
use serde_json::{Value, json};

/// A consumer whose health says this.
async fn consumer_that_says(health: Value) -> Result<FakeServer> {
    FakeServer::start(move |request| match request.path.as_str() {
        "/health" => Reply::json(200, &health),
        _ => Reply::status(200),
    })
    .await
}

/// What the group takes its only consumer to declare, once it has joined.
async fn declared(group: &Service, consumer: &FakeServer) -> Result<Value> {
    wait_until_joined(group, &consumer.address()).await?;
    let consumer = &status(group).await?["consumers"][0];
    Ok(json!([consumer["concurrency"], consumer["max_batch"]]))
}

fn register_body(consumer: &FakeServer, concurrency: &Value) -> Value {
    json!({ "consumer_id": consumer.address(), "concurrency": concurrency })
}

#[tokio::test]
async fn the_health_of_a_consumer_counts_for_more_than_its_registration() -> Result<()> {
    let redis = redis().await?;
    let cases = [
        (json!({}), json!(7), json!([7, 1])),
        (json!({ "concurrency": 3 }), json!(7), json!([3, 1])),
        // What is no number is ignored, and nothing else with it.
        (
            json!({ "concurrency": 0, "max_batch": 9 }),
            json!(7),
            json!([7, 9]),
        ),
        (
            json!({ "concurrency": "3", "max_batch": 9 }),
            json!(7),
            json!([7, 9]),
        ),
        (
            json!({ "concurrency": 3, "max_batch": -1 }),
            json!(7),
            json!([3, 1]),
        ),
        (json!("well"), json!(7), json!([7, 1])),
    ];
    for (health, registered, expected) in cases {
        let group = group(&redis, &[]).await?;
        let consumer = consumer_that_says(health.clone()).await?;
        let body = register_body(&consumer, &registered);
        assert_eq!(post(&group, "/register", &body).await?.status, 200);
        assert_eq!(declared(&group, &consumer).await?, expected, "{health}");
        calls::unregister(&group, &consumer.address()).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_consumer_that_says_nothing_is_found_out_about() -> Result<()> {
    let redis = redis().await?;
    let group = group(&redis, &[]).await?;
    let consumer = consumer_that_says(json!({})).await?;
    let body = register_body(&consumer, &json!(7));
    assert_eq!(post(&group, "/register", &body).await?.status, 200);
    assert_eq!(declared(&group, &consumer).await?[0], 7);
    // Another program may have taken its place.
    calls::register(&group, &consumer.address()).await?;
    wait_until("what was declared to be forgotten", PATIENCE, async || {
        Ok(declared(&group, &consumer).await?[0].is_null())
    })
    .await
}

#[tokio::test]
async fn whoever_registers_with_a_wrong_concurrency_is_told_so_and_is_no_member() -> Result<()> {
    let redis = redis().await?;
    let group = group(&redis, &[]).await?;
    let consumer = consumer_that_says(json!({})).await?;
    for wrong in [
        json!(0),
        json!(-1),
        json!(1.5),
        json!("8"),
        json!(null),
        json!(1_000_001),
    ] {
        let answer = post(&group, "/register", &register_body(&consumer, &wrong)).await?;
        assert_eq!(answer.status, 400, "{wrong}: {answer:?}");
        let error = answer.error()?;
        assert!(
            error.contains("`concurrency` must be a whole number"),
            "{error}"
        );
    }
    let answer = calls::check_membership(&group, &consumer.address()).await?;
    assert_eq!(answer.status, 404);
    // Of no interest to who leaves.
    let body = register_body(&consumer, &json!("many"));
    assert_eq!(post(&group, "/unregister", &body).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn a_real_consumer_declares_its_limit_and_none_when_it_has_none() -> Result<()> {
    let redis = redis().await?;
    for (limit, expected) in [("0", Value::Null), ("3", json!(3))] {
        let registrations = FakeServer::start(|_| Reply::json(200, &json!({}))).await?;
        let args = ["--processingConcurrency", limit];
        let consumer = consumer_without_group(&redis, registrations.port(), &args).await?;
        wait_until("it to register", PATIENCE, async || {
            Ok(!registrations.requests("/register").is_empty())
        })
        .await?;
        let body = &registrations.requests("/register")[0].body;
        let body: Value = serde_json::from_slice(body)?;
        assert_eq!(body["concurrency"], expected, "{body}");
        assert_eq!(body["consumer_id"], services::id_of(&consumer)?);
        let health = calls::get(&consumer, "/health").await?;
        assert_eq!(health.body["concurrency"], expected, "{health:?}");
    }
    Ok(())
}
