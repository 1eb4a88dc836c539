//! `GET /metrics`: what is served, what is written about it, and what Prometheus makes of it.

use std::{collections::BTreeSet, fs, process::Stdio};

use anyhow::{Result, ensure};
use harness::{
    Bus, PATIENCE, Service,
    services::{consumer, group, redis},
    wait_until,
};
use local_stack::binaries::workspace;
use tokio::{io::AsyncWriteExt, process::Command};

/// What `promtool check metrics` says against a page; `None` when there is no promtool.
async fn lint(page: &str) -> Result<Option<String>> {
    let started = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let Ok(mut promtool) = started else {
        return Ok(None);
    };
    if let Some(mut input) = promtool.stdin.take() {
        input.write_all(page.as_bytes()).await?;
    }
    let output = promtool.wait_with_output().await?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    ensure!(output.status.success(), "{said}");
    Ok(Some(said))
}

/// What a service serves; it is served whatever happens.
async fn page(service: &Service) -> Result<String> {
    let answer = reqwest::get(service.url("/metrics")).await?;
    Ok(answer.error_for_status()?.text().await?)
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
    Bus::of(&redis)
        .publish_ids(&["a", "b", "c"].map(str::to_owned))
        .await?;
    wait_until("all to be processed", PATIENCE, async || {
        let page = page(&group).await?;
        Ok(page.contains("\nconsumer_group_messages_processed_total 3\n"))
    })
    .await?;
    let mut served = BTreeSet::new();
    for service in [&group, &consumer] {
        let page = page(service).await?;
        served.extend(families(&page));
        match lint(&page).await? {
            Some(said) => assert_eq!(said, ""),
            None => eprintln!("promtool is not installed: the page is not checked by it"),
        }
    }
    let text = fs::read_to_string(workspace().join("docs/operations.md"))?;
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
    let group = group(&redis, &["--queue", "stream"]).await?;
    redis.kill().await?;
    wait_until("the metrics to say so", PATIENCE, async || {
        let page = page(&group).await?;
        Ok(page.contains("\nconsumer_group_redis_up 0\n"))
    })
    .await
}
