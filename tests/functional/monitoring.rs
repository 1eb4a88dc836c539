//! What `monitoring/` holds, with a real Prometheus.

use std::{
    collections::BTreeSet,
    fs,
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context, Result};
use harness::{
    Bus, PATIENCE,
    prometheus::programs,
    services::{consumer, durable_group, group, redis},
    wait_until,
};
use local_stack::{Prometheus, binaries::workspace};
use serde_json::Value;

/// What Grafana puts in place of this it takes from the width of the graph.
const INTERVAL: &str = "$__rate_interval";

fn file(path: &str) -> Result<String> {
    fs::read_to_string(workspace().join("monitoring").join(path)).context("no such file")
}

/// Every expression of the dashboard.
fn panels() -> Result<Vec<String>> {
    let dashboard: Value = serde_json::from_str(&file("grafana/dashboards/consumer-group.json")?)?;
    let panels = dashboard["panels"].as_array().context("no panels")?;
    let targets = panels
        .iter()
        .filter_map(|panel| panel["targets"].as_array());
    let expressions = targets.flatten().map(|target| {
        let expression = target["expr"].as_str().context("no expression")?;
        Ok(expression.replace(INTERVAL, "5s"))
    });
    expressions.collect()
}

/// Every expression of the alerts.
fn alerts() -> Result<Vec<String>> {
    let alerts = file("alerts.yml")?;
    let expressions = alerts
        .lines()
        .filter_map(|line| line.trim().strip_prefix("expr: "));
    Ok(expressions.map(str::to_owned).collect())
}

/// The names of our metrics in a text.
fn names(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
    words.filter(|word| word.starts_with("consumer_") || word.starts_with("process_"))
}

#[test]
fn every_metric_in_the_alerts_and_the_dashboard_is_documented() -> Result<()> {
    let documented = fs::read_to_string(workspace().join("docs/operations.md"))?;
    let documented: BTreeSet<_> = names(&documented).collect();
    let expressions = [panels()?, alerts()?].concat();
    assert!(expressions.len() > 30, "{expressions:?}");
    for name in expressions.iter().flat_map(|expression| names(expression)) {
        let name = name.strip_suffix("_bucket").unwrap_or(name);
        let is_label = name == "consumer_id";
        assert!(is_label || documented.contains(name), "{name}");
    }
    Ok(())
}

#[test]
fn every_alert_is_documented() -> Result<()> {
    let documented = fs::read_to_string(workspace().join("docs/operations.md"))?;
    let alerts = file("alerts.yml")?;
    let names = alerts
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    let names: Vec<_> = names.collect();
    assert!(names.len() >= 10, "{names:?}");
    for name in names {
        assert!(documented.contains(&format!("| `{name}` |")), "{name}");
    }
    Ok(())
}

/// Messages go through a group that Prometheus scrapes; then each expression has an answer.
async fn expect_prometheus_to_see(queue: &str) -> Result<()> {
    let Some(programs) = programs()? else {
        return Ok(());
    };
    let redis = redis().await?;
    let group = match queue {
        "stream" => durable_group(&redis, &[]).await?,
        _ => group(&redis, &[]).await?,
    };
    let (mut consumer, bus) = (consumer(&redis, &group, &[]).await?, Bus::of(&redis));
    let prometheus = Prometheus::start(&programs, &[&group, &consumer]).await?;
    let is = async |expression: &str, expected: f64| -> Result<bool> {
        let values = prometheus.query(expression).await?;
        Ok(values.len() == 1 && (values[0].1 - expected).abs() < f64::EPSILON)
    };
    let published = AtomicU32::new(0);
    wait_until(
        "both to be scraped and the rate to move",
        PATIENCE,
        async || {
            let round = published.fetch_add(50, Ordering::Relaxed);
            let ids: Vec<_> = (round..round + 50).map(|id| id.to_string()).collect();
            bus.publish_ids(&ids).await?;
            let rate = prometheus
                .query("rate(consumer_group_messages_processed_total[5s]) > 0")
                .await?;
            Ok(is("sum(up)", 2.0).await? && !rate.is_empty())
        },
    )
    .await?;
    let published = f64::from(published.into_inner());
    wait_until("all to be counted", PATIENCE, async || {
        is("consumer_group_messages_processed_total", published).await
    })
    .await?;
    let adds_up = "consumer_group_messages_received_total - consumer_group_messages_processed_total \
                   - consumer_group_messages_duplicate_total - consumer_group_messages_dead_lettered_total \
                   - consumer_group_messages_in_flight - consumer_group_messages_queued";
    assert!(is(adds_up, 0.0).await?);
    for expression in alerts()? {
        prometheus.query(&expression).await?;
    }
    for expression in panels()? {
        assert!(
            !prometheus.query(&expression).await?.is_empty(),
            "{expression}"
        );
    }
    consumer.terminate(PATIENCE).await?;
    wait_until("it to be missed", PATIENCE, async || {
        let states = prometheus.query("consumer_group_consumer_state").await?;
        Ok(is("sum(up)", 1.0).await? && states.is_empty())
    })
    .await
}

#[tokio::test]
async fn prometheus_sees_a_group_with_its_queue_in_memory() -> Result<()> {
    expect_prometheus_to_see("memory").await
}

#[tokio::test]
async fn prometheus_sees_a_group_with_the_durable_queue() -> Result<()> {
    expect_prometheus_to_see("stream").await
}

#[tokio::test]
async fn promtool_finds_no_fault_with_the_alerts_and_the_configuration() -> Result<()> {
    let Some(programs) = programs()? else {
        return Ok(());
    };
    for (what, name) in [("rules", "alerts.yml"), ("config", "prometheus.yml")] {
        let path = workspace().join("monitoring").join(name);
        programs
            .check(&[what, &path.display().to_string()], "")
            .await?;
    }
    Ok(())
}
