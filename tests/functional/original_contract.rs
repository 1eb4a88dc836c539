//! The other half may still be the original, written in Python with Flask.

use anyhow::Result;
use harness::{
    Bus, FakeConsumer, FakeServer, PATIENCE, Reply,
    calls::{ok, process_message},
    services::{consumer_without_group, group, id_of, redis, wait_for_account},
    wait_until,
};
use serde_json::{Value, json};

#[tokio::test]
async fn a_consumer_lives_with_a_group_that_denies_every_membership() -> Result<()> {
    let redis = redis().await?;
    let original = FakeServer::start(|request| match request.path.as_str() {
        "/register" | "/unregister" => Reply::json(
            200,
            &json!({ "message": "Consumer with id X is registered." }),
        ),
        // As the original does, whoever asks.
        "/checkMembership" => Reply::json(404, &json!({ "is_member": false })),
        _ => Reply::status(405),
    })
    .await?;
    let args = ["--registrationCheckIntervalSeconds", "1"];
    let mut consumer = consumer_without_group(&redis, original.port(), &args).await?;
    let id = id_of(&consumer)?;
    wait_until("three checks", PATIENCE, async || {
        Ok(original.requests("/checkMembership").len() >= 3)
    })
    .await?;
    let answer = process_message(&consumer, &json!({ "message_id": "m" })).await?;
    assert_eq!(answer, ok("Message with id m was processed successfully."));
    assert_eq!(consumer.terminate(PATIENCE).await?.code(), Some(0));

    for path in ["/register", "/checkMembership", "/unregister"] {
        let requests = original.requests(path);
        assert!(!requests.is_empty(), "{path}");
        for request in requests {
            assert_eq!(request.method, "POST");
            let body: Value = serde_json::from_slice(&request.body)?;
            assert_eq!(body, json!({ "consumer_id": id }), "{path}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_consumer_lives_with_a_group_that_only_fails() -> Result<()> {
    let redis = redis().await?;
    let broken = FakeServer::start(|_| Reply::Garbage).await?;
    let consumer = consumer_without_group(&redis, broken.port(), &[]).await?;
    wait_until("two attempts to register", PATIENCE, async || {
        Ok(broken.requests("/register").len() >= 2)
    })
    .await?;
    let answer = process_message(&consumer, &json!({ "message_id": "m" })).await?;
    assert_eq!(answer.status, 200);
    Ok(())
}

#[tokio::test]
async fn an_original_consumer_takes_messages_from_our_group() -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    let body = json!({ "message": "Message with id m was processed successfully." });
    let reply = Reply::Answer(
        200,
        vec!["Server: Werkzeug/2.0".to_owned()],
        body.to_string(),
    );
    let original = FakeConsumer::join(&group, reply).await?;
    for number in 0..20 {
        bus.publish_id(&format!("m{number}")).await?;
    }
    wait_for_account(&group, 20, 0).await?;
    let mut received = original.received()?;
    received.sort_unstable();
    received.dedup();
    assert_eq!(received.len(), 20);
    Ok(())
}

#[tokio::test]
async fn the_400_of_an_original_consumer_that_failed_ends_in_the_dead_letters() -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    let body = json!({ "error": "Failed to process message! Use Ref for details: 1" });
    let _original = FakeConsumer::join(&group, Reply::json(400, &body)).await?;
    bus.publish_id("m").await?;
    let failed = bus.wait_for_failed(1).await?;
    assert_eq!(failed[0].text("reason")?, "rejected");
    Ok(())
}
