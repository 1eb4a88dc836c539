//! A message that kills whoever gets it takes no other with it.

use std::{collections::HashMap, time::Duration};

use anyhow::{Context, Result};
use harness::{
    Bus, FakeServer, Reply, Service, calls,
    fake_server::Request,
    services::{group, redis, wait_for_account, wait_until_joined},
    status::wait_for_status,
};
use serde_json::{Value, json};

const MESSAGES: usize = 500;

/// How often a healthy message may be tried: with the poison, beside it, and once more.
const MOST_TRIES: usize = 3;

/// The ids of the messages in a request, one a line.
fn ids(request: &Request) -> Result<Vec<String>> {
    let lines = request.body.split(|byte| *byte == b'\n');
    let lines = lines.filter(|line| !line.is_empty());
    let id = |line: &[u8]| {
        let message: Value = serde_json::from_slice(line)?;
        Ok(message["message_id"].as_str().context("no id")?.to_owned())
    };
    lines.map(id).collect()
}

/// A consumer that takes batches, and whose connection breaks as soon as the poison is among what it gets.
async fn join(group: &Service) -> Result<FakeServer> {
    let consumer = FakeServer::start(|request| match request.path.as_str() {
        "/health" => Reply::json(200, &json!({ "message": "well", "max_batch": MESSAGES })),
        _ => match ids(request) {
            Ok(ids) if ids.iter().all(|id| id != "poison") => {
                let processed = Reply::json(200, &json!({ "processed": ids.len() }));
                Reply::Late(Duration::from_millis(1), Box::new(processed))
            }
            _ => Reply::Raw(String::new()),
        },
    })
    .await?;
    let answer = calls::register(group, &consumer.address()).await?;
    assert_eq!(answer.status, 200, "{answer:?}");
    wait_until_joined(group, &consumer.address()).await?;
    Ok(consumer)
}

#[tokio::test]
async fn of_a_batch_with_a_message_that_kills_all_others_are_processed_and_tried_at_most_three_times()
-> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (
        group(&redis, &["--maxAttempts", "4"]).await?,
        Bus::of(&redis),
    );
    let ids_published: Vec<_> = (0..MESSAGES)
        .map(|number| {
            if number == 250 {
                "poison".to_owned()
            } else {
                format!("m{number}")
            }
        })
        .collect();
    bus.publish_ids(&ids_published).await?;
    wait_for_status(&group, &json!({ "queued": MESSAGES })).await?;
    let consumers = [
        join(&group).await?,
        join(&group).await?,
        join(&group).await?,
    ];
    wait_for_account(&group, u64::try_from(MESSAGES - 1)?, 1).await?;
    let failed = bus.wait_for_failed(1).await?;
    assert_eq!(failed[0].text("message_id")?, "poison");
    let mut tries: HashMap<String, usize> = HashMap::new();
    for consumer in &consumers {
        for path in ["/processMessage", "/processMessages"] {
            for request in consumer.requests(path) {
                for id in ids(&request)? {
                    *tries.entry(id).or_default() += 1;
                }
            }
        }
    }
    assert_eq!(tries.remove("poison"), Some(4));
    assert_eq!(tries.len(), MESSAGES - 1);
    let too_often: Vec<_> = tries
        .iter()
        .filter(|(_, tries)| **tries > MOST_TRIES)
        .collect();
    assert!(too_often.is_empty(), "{too_often:?}");
    Ok(())
}
