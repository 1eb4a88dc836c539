//! `POST /processMessages` of a consumer: many messages in one request, a result for each.

use std::time::Duration;

use anyhow::{Context, Result};
use harness::{
    Bus, PATIENCE, Service, Signal,
    bus::{ids, message},
    calls::{self, Answer, begin_processing_batch, post_raw},
    services::redis,
    wait_until,
};
use serde_json::{Value, json};

use crate::process_message::{lonely_consumer, message_of};

const PATH: &str = "/processMessages";

async fn process(consumer: &Service, lines: &[impl AsRef<str>]) -> Result<Answer> {
    let lines: Vec<_> = lines.iter().map(AsRef::as_ref).collect();
    post_raw(
        consumer,
        PATH,
        Some("application/x-ndjson"),
        lines.join("\n"),
    )
    .await
}

fn all_processed(count: usize) -> Answer {
    Answer {
        status: 200,
        body: json!({ "processed": count }),
    }
}

/// The results for each message.
fn results(answer: &Answer) -> Result<&[Value]> {
    assert_eq!(answer.status, 200, "{answer:?}");
    let only = answer.body.as_object().is_some_and(|body| body.len() == 1);
    assert!(only, "{answer:?} has more than results");
    let results = answer.body["results"].as_array();
    Ok(results.with_context(|| format!("no results: {answer:?}"))?)
}

#[tokio::test]
async fn a_batch_becomes_an_entry_for_each_message_and_its_answer_is_short() -> Result<()> {
    let redis = redis().await?;
    let (consumer, bus) = (lonely_consumer(redis.port(), &[]).await?, Bus::of(&redis));
    let names: Vec<_> = (0..512).map(|number| format!("m{number}")).collect();
    let lines: Vec<_> = names.iter().map(|name| message(name)).collect();
    assert_eq!(process(&consumer, &lines).await?, all_processed(512));
    let entries = bus.wait_for_processed(512).await?;
    assert_eq!(ids(&entries)?, names, "in the order of the lines");
    for entry in &entries {
        assert_eq!(entry.text("consumer_id")?, consumer.address());
    }

    let with_empty_lines = ["", &message("a"), " \r", &message("b"), ""];
    assert_eq!(
        process(&consumer, &with_empty_lines).await?,
        all_processed(2)
    );
    assert_eq!(process(&consumer, &[""]).await?, all_processed(0));
    assert_eq!(bus.processed().await?.len(), 514);
    Ok(())
}

#[tokio::test]
async fn each_message_has_the_result_it_would_have_had_alone() -> Result<()> {
    let redis = redis().await?;
    let (consumer, bus) = (lonely_consumer(redis.port(), &[]).await?, Bus::of(&redis));
    assert_eq!(process(&consumer, &[message("known")]).await?.status, 200);
    let mut wide = json!({ "message_id": "wide" });
    for number in 0..4_000 {
        wide[format!("p{number}")] = json!(number);
    }
    let lines = [
        message("first"),
        "no message".to_owned(),
        message("known"),
        message("twice"),
        wide.to_string(),
        message("twice"),
        r#"{"message_id":""}"#.to_owned(),
        message("last"),
    ];
    let answer = process(&consumer, &lines).await?;
    let results = results(&answer)?;
    let processed = json!({ "status": 200 });
    let duplicate = json!({ "status": 200, "result": "duplicate" });
    assert_eq!(results.len(), lines.len(), "{answer:?}");
    for (place, expected) in [(0, &processed), (2, &duplicate), (3, &processed)] {
        assert_eq!(&results[place], expected, "line {place}");
    }
    assert_eq!(results[5], duplicate, "the same id twice in one batch");
    assert_eq!(results[7], processed);

    for place in [1, 4, 6] {
        let json = Some("application/json");
        let alone = post_raw(&consumer, "/processMessage", json, lines[place].clone()).await?;
        let expected = json!({ "status": alone.status, "error": alone.error()? });
        assert_eq!(results[place], expected, "line {place}");
    }
    assert_eq!(results[4]["status"], 422);
    let stored = ids(&bus.processed().await?)?;
    assert_eq!(stored, ["known", "first", "twice", "last"]);
    Ok(())
}

#[tokio::test]
async fn a_batch_that_cannot_be_taken_is_refused_as_a_whole() -> Result<()> {
    let redis = redis().await?;
    let args = ["--maxBatch", "2"];
    let consumer = lonely_consumer(redis.port(), &args).await?;
    for wrong in [None, Some("application/json"), Some("text/plain")] {
        let answer = post_raw(&consumer, PATH, wrong, message("m")).await?;
        assert_eq!(answer.status, 415, "{wrong:?}");
        answer.error()?;
    }
    let too_many = process(&consumer, &["a", "b", "c"].map(message)).await?;
    assert_eq!(too_many.status, 413, "{too_many:?}");
    too_many.error()?;
    let too_large = process(&consumer, &[message_of((1 << 20) + 1)]).await?;
    assert_eq!(too_large.status, 413, "{too_large:?}");
    too_large.error()?;
    assert!(Bus::of(&redis).processed().await?.is_empty());

    assert_eq!(
        process(&consumer, &["a", "b"].map(message)).await?,
        all_processed(2)
    );
    let large = process(&consumer, &[message_of(1 << 20)]).await?;
    assert_eq!(large, all_processed(1));
    Ok(())
}

#[tokio::test]
async fn a_consumer_says_how_many_messages_it_takes_at_once() -> Result<()> {
    let redis = redis().await?;
    let expected = [
        (vec![], json!(512)),
        (vec!["--maxBatch", "7"], json!(7)),
        (vec!["--maxBatch", "1"], Value::Null),
        (vec!["--intake", "pull"], Value::Null),
    ];
    for (args, max_batch) in expected {
        let consumer = lonely_consumer(redis.port(), &args).await?;
        let health = calls::get(&consumer, "/health").await?;
        assert_eq!(health.status, 200);
        assert_eq!(health.body["max_batch"], max_batch, "{args:?}");
        if max_batch.is_null() {
            let length = health.body.as_object().map(serde_json::Map::len);
            assert_eq!(length, Some(1), "{health:?}");
            let answer = process(&consumer, &[message("m")]).await?;
            assert_eq!(answer.status, 404, "{args:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn no_more_of_a_batch_are_processed_at_once_than_the_setting_says() -> Result<()> {
    let redis = redis().await?;
    let args = ["--processingConcurrency", "1", "--processingDelayMs", "200"];
    let consumer = lonely_consumer(redis.port(), &args).await?;
    let lines = ["a", "b", "c"].map(message);
    assert_eq!(process(&consumer, &lines).await?, all_processed(3));
    let mut times = Vec::new();
    for entry in Bus::of(&redis).wait_for_processed(3).await? {
        times.push(humantime::parse_rfc3339(&entry.text("processed_at")?)?);
    }
    // Each took its 200 ms after the one before; the clock of the entry is cut to milliseconds.
    for pair in times.windows(2) {
        let between = pair[1].duration_since(pair[0])?;
        assert!(between >= Duration::from_millis(195), "{between:?}");
    }
    Ok(())
}

#[tokio::test]
async fn without_redis_each_message_of_a_batch_may_come_again_soon() -> Result<()> {
    let mut redis = redis().await?;
    let consumer = lonely_consumer(redis.port(), &[]).await?;
    let lines = [message("a"), "no message".to_owned(), message("b")];
    redis.kill().await?;
    let answer = process(&consumer, &lines).await?;
    let results = results(&answer)?;
    assert_eq!(results[1]["status"], 400);
    for result in [&results[0], &results[2]] {
        assert_eq!(
            (&result["status"], &result["retry_after"]),
            (&json!(503), &json!(1))
        );
        let error = result["error"].as_str().context("no error")?;
        let reference = error.strip_prefix("Failed to process message! Use Ref for details: ");
        let reference = reference.context(error.to_owned())?;
        let line = consumer.wait_for_log(reference, PATIENCE).await?;
        assert!(line.contains("Redis"), "{line}");
    }
    redis.start_again().await?;
    let again = [&lines[0], &lines[2]];
    wait_until("the consumer to find Redis again", PATIENCE, async || {
        Ok(process(&consumer, &again).await? == all_processed(2))
    })
    .await
}

#[tokio::test]
async fn a_draining_consumer_takes_no_batch_and_finishes_the_one_it_has() -> Result<()> {
    let redis = redis().await?;
    let args = ["--processingDelayMs", "2000"];
    let mut consumer = lonely_consumer(redis.port(), &args).await?;
    let lines = ["old", "as old"].map(message).join("\n");
    let under_way = begin_processing_batch(&consumer, &lines).await?;
    consumer.signal(Signal::SIGTERM)?;
    wait_until("the health check to say 503", PATIENCE, async || {
        Ok(calls::get(&consumer, "/health").await?.status == 503)
    })
    .await?;
    let refused = process(&consumer, &[message("new")]).await?;
    assert_eq!(refused.status, 503);
    refused.error()?;
    assert_eq!(under_way.status().await?, 200);
    assert_eq!(consumer.wait_exit(PATIENCE).await?.code(), Some(0));
    assert_eq!(ids(&Bus::of(&redis).processed().await?)?, ["old", "as old"]);
    Ok(())
}
