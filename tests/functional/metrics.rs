//! `GET /metrics`: what is served, and what is written about it.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context, Result, ensure};
use harness::{
    Bus, PATIENCE, Service,
    prometheus::programs,
    services::{binaries, consumer, consumer_without_group, group, id_of, redis, wait_until_left},
    wait_until,
};
use local_stack::binaries::workspace;
use tokio::process::Command;

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

/// What a program says it was built from, as labels of a metric.
async fn labels_of(program: &Path) -> Result<String> {
    let output = Command::new(program).arg("--version").output().await?;
    let said = String::from_utf8(output.stdout)?;
    let (start, rest) = said.split_once(" (commit ").context("no commit")?;
    let (_, version) = start.split_once(' ').context("no version")?;
    let (commit, rest) = rest.split_once(", built ").context("no date")?;
    let date = rest.trim_end().strip_suffix(')').context("no end")?;
    ensure!(date.len() == "2026-01-31".len(), "{said}");
    // The metrics have them in the order of the alphabet.
    Ok(format!(
        "{{build_date=\"{date}\",commit=\"{commit}\",version=\"{version}\"}}"
    ))
}

#[tokio::test]
async fn the_metrics_tell_the_build_as_the_programs_do() -> Result<()> {
    let binaries = binaries().await?;
    let redis = redis().await?;
    let group = group(&redis, &[]).await?;
    let consumer = consumer(&redis, &group, &[]).await?;
    let of_group = labels_of(&binaries.group).await?;
    wait_for_line(&group, &format!("consumer_group_build_info{of_group} 1")).await?;
    let of_consumer = labels_of(&binaries.consumer).await?;
    let of_consumer = of_consumer.replace('}', r#",worker="consumer-app"}"#);
    wait_for_line(&consumer, &format!("consumer_build_info{of_consumer} 1")).await?;
    assert_eq!(labels_of(&binaries.publisher).await?, of_group);
    Ok(())
}
