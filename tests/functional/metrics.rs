//! `GET /metrics`: what is served, and what is written about it.

use std::{collections::BTreeSet, fs};

use anyhow::Result;
use harness::{
    Bus, PATIENCE, Service,
    prometheus::programs,
    services::{consumer, consumer_without_group, group, id_of, redis, wait_until_left},
    wait_until,
};
use local_stack::binaries::workspace;

/// What a service serves; it is served whatever happens.
async fn page(service: &Service) -> Result<String> {
    let answer = reqwest::get(service.url("/metrics")).await?;
    Ok(answer.error_for_status()?.text().await?)
}

async fn wait_for_line(service: &Service, line: &str) -> Result<()> {
    wait_until(line, PATIENCE, async || {
        Ok(page(service).await?.lines().any(|told| told == line))
    })
    .await
}

/// The families of a page, each as `name type`.
fn families(page: &str) -> impl Iterator<Item = String> {
    let heads = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    heads.map(str::to_owned)
}

#[tokio::test]
async fn what_is_served_is_what_is_documented_and_promtool_finds_no_fault() -> Result<()> {
    let redis = redis().await?;
    let group = group(&redis, &[]).await?;
    let consumer = consumer(&redis, &group, &[]).await?;
    let ids = ["a", "b", "c"].map(str::to_owned);
    Bus::of(&redis).publish_ids(&ids).await?;
    wait_for_line(&group, "consumer_group_messages_processed_total 3").await?;
    let mut served = BTreeSet::new();
    for service in [&group, &consumer] {
        let page = page(service).await?;
        served.extend(families(&page));
        if let Some(programs) = programs()? {
            programs.check(&["metrics"], &page).await?;
        }
    }
    let text = fs::read_to_string(workspace().join("docs/monitoring.md"))?;
    let rows = text.lines().filter_map(|line| {
        let mut cells = line.split('|').map(str::trim).skip(1);
        let name = cells.next()?.strip_prefix('`')?.strip_suffix('`')?;
        let kind = cells.next()?;
        ["counter", "gauge", "histogram"]
            .contains(&kind)
            .then(|| format!("{name} {kind}"))
    });
    assert_eq!(rows.collect::<BTreeSet<_>>(), served);
    Ok(())
}

#[tokio::test]
async fn without_redis_it_answers_and_says_so() -> Result<()> {
    let mut redis = redis().await?;
    let group = group(&redis, &[]).await?;
    let consumer = consumer(&redis, &group, &[]).await?;
    redis.kill().await?;
    wait_for_line(&group, "consumer_group_redis_up 0").await?;
    wait_for_line(&group, "consumer_group_subscription_up 0").await?;
    wait_for_line(&consumer, "consumer_redis_up 0").await
}

#[tokio::test]
async fn a_consumer_that_left_has_no_series_and_its_attempts_still_count() -> Result<()> {
    let redis = redis().await?;
    let group = group(&redis, &[]).await?;
    let mut consumer = consumer(&redis, &group, &[]).await?;
    let id = id_of(&consumer)?;
    let ids: Vec<_> = (0..50).map(|number| number.to_string()).collect();
    Bus::of(&redis).publish_ids(&ids).await?;
    let attempts = "consumer_group_attempts_total{outcome=\"delivered\"} 50";
    wait_for_line(&group, attempts).await?;
    assert!(page(&group).await?.contains(&id));
    consumer.terminate(PATIENCE).await?;
    wait_until_left(&group, &id).await?;
    wait_until("its series to go", PATIENCE, async || {
        Ok(!page(&group).await?.contains(&id))
    })
    .await?;
    wait_for_line(&group, attempts).await
}

#[tokio::test]
async fn a_consumer_that_pulls_tells_how_old_its_messages_were() -> Result<()> {
    let redis = redis().await?;
    let _group = group(&redis, &[]).await?;
    let consumer = consumer_without_group(&redis, 1, &["--intake", "pull"]).await?;
    let ids: Vec<_> = (0..50).map(|number| number.to_string()).collect();
    Bus::of(&redis).publish_ids(&ids).await?;
    wait_for_line(&consumer, "consumer_processed_total 50").await?;
    wait_for_line(&consumer, "consumer_message_age_seconds_count 50").await?;
    wait_for_line(&consumer, "consumer_work_in_flight 0").await
}
