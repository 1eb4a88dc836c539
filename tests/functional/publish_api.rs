//! `POST /messages`: publishing that answers once messages are in the queue.

use anyhow::Result;
use harness::{
    Bus, PATIENCE, ReplicaOptions, Replicas, Service,
    calls::{Answer, post, post_raw, post_to},
    services::{self, group, redis},
    status::wait_for_status,
    wait_until,
};
use serde_json::json;

const JSON: Option<&str> = Some("application/json");
const LINES: Option<&str> = Some("application/x-ndjson");
const START_OF_400: &str = "Provided data does not match requirements. Reason: ";

async fn publish_lines(group: &Service, lines: impl Into<Vec<u8>>) -> Result<Answer> {
    post_raw(group, "/messages", LINES, lines.into()).await
}

fn taken(created: u64, duplicate: u64) -> Answer {
    Answer {
        status: 202,
        body: json!({ "created": created, "duplicate": duplicate }),
    }
}

#[tokio::test]
async fn a_message_is_taken_once_and_processed() -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    let message = json!({ "message_id": "m", "text": "hello" });
    assert_eq!(post(&group, "/messages", &message).await?, taken(1, 0));
    wait_for_status(&group, &json!({ "received": 1, "queued": 1 })).await?;
    assert_eq!(post(&group, "/messages", &message).await?, taken(0, 1));
    let _consumer = services::consumer(&redis, &group, &[]).await?;
    let entries = bus.wait_for_processed(1).await?;
    assert_eq!(entries[0].text("text")?, "hello");
    assert_eq!(post(&group, "/messages", &message).await?, taken(0, 1));
    let expected = json!({ "received": 3, "processed": 1, "duplicate": 2 });
    wait_for_status(&group, &expected).await?;
    assert_eq!(bus.processed().await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn many_messages_are_taken_as_lines_each_id_once() -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    let lines = |from: usize, to: usize| {
        let line = |number| format!("{{\"message_id\":\"{number}\"}}\n");
        (from..to).map(line).collect::<String>()
    };
    assert_eq!(publish_lines(&group, lines(0, 2000)).await?, taken(2000, 0));
    assert_eq!(
        publish_lines(&group, lines(1000, 3000)).await?,
        taken(1000, 1000)
    );
    // Ends of lines as they come, empty ones, and no end at the end.
    let odd =
        "\r\n{\"message_id\":\"odd\"}\r\n  \n{\"message_id\":\"odd\"}\n\n{\"message_id\":\"0\"}";
    assert_eq!(publish_lines(&group, odd).await?, taken(1, 2));
    assert_eq!(publish_lines(&group, "").await?, taken(0, 0));
    let _consumer = services::consumer(&redis, &group, &[]).await?;
    let entries = bus.wait_for_processed(3001).await?;
    assert!(harness::bus::repeated(&entries)?.is_empty());
    let expected = json!({ "received": 4003, "processed": 3001, "duplicate": 1002 });
    wait_for_status(&group, &expected).await
}

#[tokio::test]
async fn what_was_published_to_the_channel_too_is_delivered_once() -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    let _consumer = services::consumer(&redis, &group, &[]).await?;
    bus.publish_id("m").await?;
    wait_for_status(&group, &json!({ "received": 1 })).await?;
    let answer = post(&group, "/messages", &json!({ "message_id": "m" })).await?;
    assert_eq!(answer, taken(0, 1));
    wait_for_status(&group, &json!({ "processed": 1, "duplicate": 1 })).await?;
    assert_eq!(bus.processed().await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_line_that_is_no_message_is_named_and_nothing_is_taken() -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    let good = r#"{"message_id":"good"}"#;
    for bad in [
        "not json",
        "[]",
        "{}",
        r#"{"message_id":7}"#,
        r#"{"message_id":""}"#,
    ] {
        let answer = publish_lines(&group, format!("{good}\n\n{good}\n{bad}\n{good}\n")).await?;
        assert_eq!(answer.status, 400, "{bad}: {answer:?}");
        let start = format!("{START_OF_400}line 4: ");
        assert!(answer.error()?.starts_with(&start), "{bad}: {answer:?}");
        let answer = post_raw(&group, "/messages", JSON, bad).await?;
        assert_eq!(answer.status, 400, "{bad}: {answer:?}");
        assert!(answer.error()?.starts_with(START_OF_400), "{answer:?}");
        assert!(!answer.error()?.contains("line 1:"), "{answer:?}");
    }
    let admitted: u64 = bus.command(&["XLEN", "{messages:processed}:ids"]).await?;
    assert_eq!(admitted, 0);
    wait_for_status(&group, &json!({ "received": 0, "queued": 0 })).await
}

#[tokio::test]
async fn another_content_type_is_refused() -> Result<()> {
    let redis = redis().await?;
    let group = group(&redis, &[]).await?;
    for wrong in [
        None,
        Some("text/plain"),
        Some("application/xml"),
        Some("ndjson"),
    ] {
        let body = r#"{"message_id":"m"}"#;
        let answer = post_raw(&group, "/messages", wrong, body).await?;
        assert_eq!(answer.status, 400, "{wrong:?}: {answer:?}");
        assert!(answer.error()?.starts_with(START_OF_400), "{answer:?}");
    }
    for right in ["application/json; charset=utf-8", "Application/JSON"] {
        let body = r#"{"message_id":"m"}"#;
        let answer = post_raw(&group, "/messages", Some(right), body).await?;
        assert_eq!(answer.status, 202, "{right}: {answer:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_body_over_sixteen_mebibytes_is_too_large_and_nothing_is_taken() -> Result<()> {
    let redis = redis().await?;
    let group = group(&redis, &[]).await?;
    let line = |number: usize| {
        let fill = "x".repeat(1_000_000);
        format!("{{\"message_id\":\"{number}\",\"fill\":\"{fill}\"}}\n")
    };
    let sixteen: String = (0..16).map(line).collect();
    let more = format!("{sixteen}{}", line(16));
    let answer = publish_lines(&group, more).await?;
    assert_eq!(answer.status, 413);
    answer.error()?;
    wait_for_status(&group, &json!({ "received": 0 })).await?;
    assert_eq!(publish_lines(&group, sixteen).await?, taken(16, 0));
    Ok(())
}

#[tokio::test]
async fn without_redis_it_fails_with_a_reference_and_can_be_repeated() -> Result<()> {
    let mut redis = redis().await?;
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    let message = json!({ "message_id": "m" });
    redis.kill().await?;
    let answer = post(&group, "/messages", &message).await?;
    assert_eq!(answer.status, 500);
    let reference = answer.reference("Failed to publish!")?;
    let line = group.wait_for_log(&reference, PATIENCE).await?;
    assert!(line.contains("Redis"), "{line}");
    redis.start_again().await?;
    wait_until("it to be taken", PATIENCE, async || {
        Ok(post(&group, "/messages", &message).await? == taken(1, 0))
    })
    .await?;
    let _consumer = services::consumer(&redis, &group, &[]).await?;
    assert_eq!(bus.wait_for_processed(1).await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn what_redis_refuses_is_not_taken_and_not_known_afterwards() -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    let message = json!({ "message_id": "m" });
    let queue = "{messages:processed}:queue";
    let refusals: [(&[&str], &[&str]); 3] = [
        (
            &["CONFIG", "SET", "maxmemory", "1"],
            &["CONFIG", "SET", "maxmemory", "0"],
        ),
        (
            &["CONFIG", "SET", "min-replicas-to-write", "1"],
            &["CONFIG", "SET", "min-replicas-to-write", "0"],
        ),
        (
            &[
                "EVAL",
                "redis.call('DEL', KEYS[1]); redis.call('SET', KEYS[1], 'text')",
                "1",
                queue,
            ],
            &["DEL", queue],
        ),
    ];
    for (break_it, heal_it) in refusals {
        bus.command::<()>(break_it).await?;
        let answer = post(&group, "/messages", &message).await?;
        assert_eq!(answer.status, 500, "{break_it:?}: {answer:?}");
        answer.reference("Failed to publish!")?;
        bus.command::<()>(heal_it).await?;
    }
    assert_eq!(post(&group, "/messages", &message).await?, taken(1, 0));
    wait_for_status(&group, &json!({ "received": 1, "queued": 1 })).await
}

#[tokio::test]
async fn what_was_acknowledged_outlives_the_replica_and_is_taken_once_by_all() -> Result<()> {
    let mut replicas = Replicas::start(ReplicaOptions::default()).await?;
    let bus = replicas.bus();
    let urls = replicas.groups.iter().map(|group| group.url("/messages"));
    let urls: Vec<_> = urls.collect();
    // Every message is posted to both replicas at once; one of them is killed half way through.
    let (mut acknowledged, mut created) = (Vec::new(), 0);
    for number in 0..600 {
        let message = json!({ "message_id": format!("{number:03}") });
        if number == 300 {
            replicas.groups[0].kill().await?;
        }
        let (one, two) = tokio::join!(post_to(&urls[0], &message), post_to(&urls[1], &message));
        assert_eq!(one.is_ok(), number < 300);
        for answer in [one, two].into_iter().flatten() {
            assert_eq!(answer.status, 202, "{answer:?}");
            created += answer.body["created"].as_u64().unwrap_or_default();
        }
        acknowledged.push(format!("{number:03}"));
    }
    assert_eq!(created, 600);
    // What the dead one had in hand need not be waited for.
    bus.age_pending().await?;
    let mut processed = harness::bus::ids(&bus.wait_for_processed(600).await?)?;
    processed.sort_unstable();
    assert_eq!(processed, acknowledged);
    Ok(())
}
