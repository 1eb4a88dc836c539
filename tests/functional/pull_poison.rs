//! A message that kills the consumers that pull it takes no other message with it.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context, Result, ensure};
use harness::{Bus, Chunks, PATIENCE, PrivateRedis, Service, services::redis};
use serde_json::json;

/// How often a message is tried.
const MAX_DELIVERIES: usize = 3;

/// A worker that pulls, and does what messages say.
pub(crate) async fn obedient(
    redis: &PrivateRedis,
    args: &[&str],
    env: &[(&str, &str)],
) -> Result<Service> {
    let program = Path::new(env!("CARGO_BIN_EXE_obedient-worker"));
    let redis_port = redis.port_text();
    let own = [
        ["--restApiPort", "0"],
        ["--redisServerPort", &redis_port],
        ["--intake", "pull"],
    ];
    Service::start(program, &[&own.concat(), args].concat(), env).await
}

/// A message that has its worker do this.
pub(crate) fn order(id: &str, what: &str) -> String {
    json!({ "message_id": id, "do": what }).to_string()
}

/// How often a worker began each message.
#[derive(Debug, Default)]
pub(crate) struct Begun(BTreeMap<String, usize>);

impl Begun {
    pub(crate) fn add(&mut self, worker: &Service) {
        for line in worker.logs() {
            if let Some(id) = line.strip_prefix("begun ") {
                *self.0.entry(id.to_owned()).or_default() += 1;
            }
        }
    }

    pub(crate) fn times(&self, id: &str) -> usize {
        self.0.get(id).copied().unwrap_or_default()
    }
}

/// Lets one worker after the other die of what it is handed, each as soon as the one before is given up for dead.
async fn let_die(redis: &PrivateRedis, begun: &mut Begun) -> Result<()> {
    let max_deliveries = MAX_DELIVERIES.to_string();
    for death in 1..=MAX_DELIVERIES {
        let mut worker = obedient(redis, &["--maxDeliveries", &max_deliveries], &[]).await?;
        let status = worker.wait_exit(PATIENCE).await;
        let status = status.with_context(|| format!("death {death}"))?;
        ensure!(status.code().is_none(), "{status}");
        begun.add(&worker);
        Bus::of(redis).age_pending().await?;
    }
    Ok(())
}

#[tokio::test]
async fn of_a_batch_with_one_message_that_kills_all_others_are_processed() -> Result<()> {
    let redis = redis().await?;
    let chunks = Chunks::of(&redis)?;
    let messages: Vec<_> = (0..500)
        .map(|number| match number {
            250 => order("250", "abort"),
            _ => harness::bus::message(&number.to_string()),
        })
        .collect();
    chunks.admit(&messages).await?;
    let mut begun = Begun::default();
    let_die(&redis, &mut begun).await?;
    let worker = obedient(&redis, &["--maxDeliveries", "3"], &[]).await?;
    chunks.wait_for(499, 1).await?;
    begun.add(&worker);
    let failed = chunks.failed().await?;
    assert_eq!(failed[0].text("message_id")?, "250");
    assert_eq!(failed[0].text("reason")?, "deliveries_exhausted");
    assert_eq!(failed[0].text("attempts")?, "3");
    let processed = Bus::of(&redis).processed().await?;
    assert_eq!(harness::bus::repeated(&processed)?, [""; 0]);
    assert_eq!(processed.len(), 499);
    assert_eq!(begun.times("250"), MAX_DELIVERIES);
    for number in 0..500 {
        let times = begun.times(&number.to_string());
        assert!((1..=MAX_DELIVERIES).contains(&times), "{number}: {times}");
    }
    Ok(())
}

#[tokio::test]
async fn what_was_held_beside_a_message_that_kills_is_not_given_up_with_it() -> Result<()> {
    let redis = redis().await?;
    let chunks = Chunks::of(&redis)?;
    // It takes longer than its worker lives, as long as that is handed both.
    chunks.admit(&[order("beside", "nap")]).await?;
    chunks.admit(&[order("fatal", "abort")]).await?;
    let_die(&redis, &mut Begun::default()).await?;
    let _worker = obedient(&redis, &["--maxDeliveries", "3"], &[]).await?;
    chunks.wait_for(1, 1).await?;
    let failed = chunks.failed().await?;
    assert_eq!(failed[0].text("message_id")?, "fatal");
    Ok(())
}
