//! What a processor says of a message it does not process decides what becomes of it, whichever way messages come.

use std::{collections::BTreeSet, path::Path, time::Instant};

use anyhow::{Context, Result};
use harness::{
    Bus, Chunks, Entry, PrivateRedis, Service, bus,
    services::{group, id_of, redis, wait_for_account, wait_until_joined},
    status::status,
};
use serde_json::Value;

use crate::pull_poison::{obedient, order};

const MESSAGES: usize = 1000;

/// How long a worker that is told to wants a message to wait, in ms.
const POSTPONED_MS: u128 = 2000;

/// One message in ten is rejected, and one in `postponed` put off, once by each worker.
fn messages(postponed: usize) -> Vec<String> {
    let message = |number: usize| match number {
        _ if number % 10 == 3 => order(&number.to_string(), "reject"),
        _ if number % postponed == 7 => order(&number.to_string(), "postpone"),
        _ => bus::message(&number.to_string()),
    };
    (0..MESSAGES).map(message).collect()
}

/// Expects dead letters of what was rejected, with the reason; and an entry of all else, one each.
fn expect_verdicts(processed: &[Entry], failed: &[Entry]) -> Result<()> {
    for letter in failed {
        assert_eq!(letter.text("reason")?, "rejected");
        let error = letter.text("last_error")?;
        assert!(error.contains("I will not have it"), "{error}");
    }
    let [processed, failed] = [bus::ids(processed)?, bus::ids(failed)?];
    let is_rejected = |id: &&String| id.parse().is_ok_and(|number: usize| number % 10 == 3);
    let ids: BTreeSet<_> = processed.iter().chain(&failed).collect();
    assert_eq!(failed.iter().filter(is_rejected).count(), MESSAGES / 10);
    assert_eq!(
        (ids.len(), processed.len() + failed.len()),
        (MESSAGES, MESSAGES)
    );
    Ok(())
}

/// What a worker counted of this metric.
async fn count(worker: &Service, metric: &str) -> Result<u64> {
    let page = reqwest::get(worker.url("/metrics")).await?.text().await?;
    let line = page.lines().find_map(|line| line.strip_prefix(metric));
    Ok(line.with_context(|| metric.to_owned())?.trim().parse()?)
}

async fn pushed_to(redis: &PrivateRedis, group: &Service) -> Result<Service> {
    let redis_port = redis.port_text();
    let own = [
        ["--restApiPort", "0"],
        ["--redisServerPort", &redis_port],
        ["--consumerGroupAppPort", group.port_text()],
    ];
    let program = Path::new(env!("CARGO_BIN_EXE_obedient-worker"));
    let worker = Service::start(program, &own.concat(), &[]).await?;
    wait_until_joined(group, &id_of(&worker)?).await?;
    Ok(worker)
}

#[tokio::test]
async fn pushed_messages_are_rejected_postponed_or_processed_as_the_processor_says() -> Result<()> {
    let redis = redis().await?;
    let group = group(&redis, &[]).await?;
    let workers = [
        pushed_to(&redis, &group).await?,
        pushed_to(&redis, &group).await?,
    ];
    let bus = Bus::of(&redis);
    for message in messages(10) {
        assert_eq!(bus.publish(message).await?, 1);
    }
    wait_for_account(&group, 900, 100).await?;
    expect_verdicts(&bus.processed().await?, &bus.failed().await?)?;
    let told = status(&group).await?;
    let consumers = told["consumers"].as_array().context("no consumers")?;
    assert_eq!(consumers.len(), workers.len());
    for consumer in consumers {
        assert_eq!(consumer["ejections"], Value::from(0), "{consumer}");
    }
    let (mut rejected, mut postponed) = (0, 0);
    for worker in &workers {
        rejected += count(worker, "consumer_rejected_total").await?;
        postponed += count(worker, "consumer_postponed_total").await?;
        assert_eq!(count(worker, "consumer_failures_total").await?, 0);
    }
    // Until a worker has delivered a message its word is asked for twice.
    assert!(rejected >= 100, "{rejected}");
    assert!((100..=200).contains(&postponed), "{postponed}");
    Ok(())
}

#[tokio::test]
async fn pulled_messages_are_rejected_postponed_or_processed_as_the_processor_says() -> Result<()> {
    for env in [&[][..], &[("WHOLE_BATCHES", "1")]] {
        let redis = redis().await?;
        let chunks = Chunks::of(&redis)?;
        let begun = Instant::now();
        for messages in messages(10).chunks(100) {
            chunks.admit(messages).await?;
        }
        // To be put off is no attempt: else it would be the last.
        let worker = obedient(&redis, &["--maxDeliveries", "1"], env).await?;
        chunks.wait_for(900, 100).await?;
        assert!(begun.elapsed().as_millis() >= POSTPONED_MS);
        expect_verdicts(&Bus::of(&redis).processed().await?, &chunks.failed().await?)?;
        assert_eq!(count(&worker, "consumer_rejected_total").await?, 100);
        assert_eq!(count(&worker, "consumer_postponed_total").await?, 100);
        assert_eq!(count(&worker, "consumer_failures_total").await?, 0);
    }
    Ok(())
}

#[tokio::test]
async fn a_message_of_another_shape_is_rejected_with_what_is_wrong_in_it() -> Result<()> {
    let redis = redis().await?;
    let chunks = Chunks::of(&redis)?;
    let _worker = obedient(&redis, &[], &[]).await?;
    chunks.admit(&[r#"{"message_id":"a","do":7}"#]).await?;
    chunks.wait_for(0, 1).await?;
    let failed = chunks.failed().await?;
    assert_eq!(failed[0].text("reason")?, "rejected");
    let error = failed[0].text("last_error")?;
    assert!(error.contains("invalid type: integer `7`"), "{error}");
    Ok(())
}
