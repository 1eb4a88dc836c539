//! The line the group logs every three seconds.

use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use harness::{
    Bus, FakeConsumer, PATIENCE, Reply,
    services::{group, log_of, redis, wait_for_account},
    wait_until,
};
use serde_json::Value;

fn lines(group: &harness::Service) -> Vec<Value> {
    let mut lines = log_of(group);
    lines.retain(|line| line["processed_per_second"].is_number());
    lines
}

#[tokio::test]
async fn the_group_logs_its_rates_every_three_seconds() -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    let _consumer = FakeConsumer::join(&group, Reply::status(200)).await?;
    let ids: Vec<_> = (0..90).map(|n| n.to_string()).collect();
    bus.publish_ids(&ids).await?;
    for number in 0..30 {
        bus.publish(format!("bad {number}")).await?;
    }
    wait_for_account(&group, 90, 30).await?;
    wait_until("three lines of throughput", PATIENCE, async || {
        Ok(lines(&group).len() >= 3)
    })
    .await?;

    let lines = lines(&group);
    let at = |line: &Value| -> Result<SystemTime> {
        let at = line["timestamp"].as_str().context("no timestamp")?;
        Ok(humantime::parse_rfc3339(at)?)
    };
    for pair in lines.windows(2) {
        let between = at(&pair[1])?.duration_since(at(&pair[0])?)?;
        assert!(between > Duration::from_millis(2500), "{between:?}");
    }
    // The rates of all intervals, each of about three seconds or longer, make the totals.
    let sum = |name: &str| -> f64 { lines.iter().filter_map(|line| line[name].as_f64()).sum() };
    assert!(sum("processed_per_second") > 0.0 && sum("processed_per_second") < 31.0);
    assert!(sum("failed_per_second") > 0.0 && sum("failed_per_second") < 11.0);
    Ok(())
}
