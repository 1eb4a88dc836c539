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
    services::{consumer, consumer_without_group, group, redis},
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

/// The expression of this alert.
fn alert(name: &str) -> Result<String> {
    let alerts = file("alerts.yml")?;
    let mut alerts = alerts.split("- alert: ");
    let alert = alerts
        .find(|alert| alert.lines().next() == Some(name))
        .context("no such alert")?;
    let mut lines = alert.lines();
    let expression = lines.find_map(|line| line.trim().strip_prefix("expr: "));
    Ok(expression.context("no expression")?.to_owned())
}

/// The names of our metrics in a text.
fn names(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
    words.filter(|word| word.starts_with("consumer_") || word.starts_with("process_"))
}

#[test]
fn every_metric_in_the_alerts_and_the_dashboard_is_documented() -> Result<()> {
    let documented = fs::read_to_string(workspace().join("docs/monitoring.md"))?;
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
    let documented = fs::read_to_string(workspace().join("docs/monitoring.md"))?;
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

/// What of the received messages is neither finished nor waiting: none.
const MISSING: &str = "consumer_group_messages_received_total - consumer_group_messages_processed_total \
                       - consumer_group_messages_duplicate_total - consumer_group_messages_dead_lettered_total \
                       - consumer_group_messages_in_flight - consumer_group_messages_queued";

/// Whether there is one series, and it has this value.
async fn is(prometheus: &Prometheus, expression: &str, expected: f64) -> Result<bool> {
    let values = prometheus.query(expression).await?;
    Ok(values.len() == 1 && (values[0].1 - expected).abs() < f64::EPSILON)
}

/// Publishes 50 messages that were not published before; `published` counts them.
async fn publish_more(bus: &Bus, published: &AtomicU32) -> Result<()> {
    let round = published.fetch_add(50, Ordering::Relaxed);
    let ids: Vec<_> = (round..round + 50).map(|id| id.to_string()).collect();
    bus.publish_ids(&ids).await?;
    Ok(())
}

/// Waits until all that was published is counted as processed, and nothing is missing.
async fn wait_until_all_are_counted(prometheus: &Prometheus, published: u32) -> Result<()> {
    wait_until("all to be counted", PATIENCE, async || {
        let processed = "consumer_group_messages_processed_total";
        is(prometheus, processed, f64::from(published)).await
    })
    .await?;
    assert!(is(prometheus, MISSING, 0.0).await?);
    Ok(())
}

/// Messages go through a group that Prometheus scrapes; then each expression has an answer.
#[tokio::test]
async fn prometheus_sees_a_group() -> Result<()> {
    let Some(programs) = programs()? else {
        return Ok(());
    };
    let redis = redis().await?;
    let group = group(&redis, &[]).await?;
    let (mut consumer, bus) = (consumer(&redis, &group, &[]).await?, Bus::of(&redis));
    let prometheus = Prometheus::start(&programs, &[&group, &consumer]).await?;
    let published = AtomicU32::new(0);
    wait_until(
        "both to be scraped and the rate to move",
        PATIENCE,
        async || {
            publish_more(&bus, &published).await?;
            let rate = prometheus
                .query("rate(consumer_group_messages_processed_total[5s]) > 0")
                .await?;
            Ok(is(&prometheus, "sum(up)", 2.0).await? && !rate.is_empty())
        },
    )
    .await?;
    wait_until_all_are_counted(&prometheus, published.into_inner()).await?;
    for expression in alerts()? {
        prometheus.query(&expression).await?;
    }
    for expression in panels()? {
        // A rate needs two readings, and the consumer may have been read once so far.
        wait_until(&expression, PATIENCE, async || {
            Ok(!prometheus.query(&expression).await?.is_empty())
        })
        .await?;
    }
    consumer.terminate(PATIENCE).await?;
    wait_until("it to be missed", PATIENCE, async || {
        let its_own = prometheus.query("{consumer_id!=\"\"}").await?;
        let down = prometheus.query(&alert("ServiceDown")?).await?;
        Ok(is(&prometheus, "sum(up)", 1.0).await? && its_own.is_empty() && down.len() == 1)
    })
    .await?;
    let alarms = prometheus.query(&alert("NoGroup")?).await?;
    assert!(alarms.is_empty(), "{alarms:?}");
    Ok(())
}

#[tokio::test]
async fn prometheus_sees_a_consumer_that_pulls_and_raises_no_alarm_until_it_is_gone() -> Result<()>
{
    let Some(programs) = programs()? else {
        return Ok(());
    };
    let (redis, published) = (redis().await?, AtomicU32::new(0));
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    let mut consumer = consumer_without_group(&redis, 1, &["--intake", "pull"]).await?;
    let prometheus = Prometheus::start(&programs, &[&group, &consumer]).await?;
    let panels = panels()?;
    let ages = panels
        .iter()
        .filter(|panel| panel.contains("consumer_message_age_seconds_bucket"));
    let ages: Vec<_> = ages.collect();
    assert!(!ages.is_empty());
    for age in ages {
        wait_until(age, PATIENCE, async || {
            publish_more(&bus, &published).await?;
            let values = prometheus.query(age).await?;
            Ok(values.len() == 1 && values[0].1.is_finite())
        })
        .await?;
    }
    wait_until_all_are_counted(&prometheus, published.into_inner()).await?;
    let nobody = alert("NoActiveConsumer")?;
    let alarms = prometheus.query(&nobody).await?;
    assert!(alarms.is_empty(), "{alarms:?}");
    consumer.terminate(PATIENCE).await?;
    wait_until("it to be missed", PATIENCE, async || {
        Ok(prometheus.query(&nobody).await?.len() == 1)
    })
    .await
}

#[tokio::test]
async fn prometheus_sees_redis_go_and_is_about_to_raise_the_alarm() -> Result<()> {
    let Some(programs) = programs()? else {
        return Ok(());
    };
    let mut redis = redis().await?;
    let group = group(&redis, &[]).await?;
    let prometheus = Prometheus::start(&programs, &[&group]).await?;
    let up = "consumer_group_redis_up";
    wait_until("Redis to be seen", PATIENCE, async || {
        is(&prometheus, up, 1.0).await
    })
    .await?;
    redis.kill().await?;
    wait_until("Redis to be missed", PATIENCE, async || {
        let alarm = prometheus.query("ALERTS{alertname=\"RedisDown\"}").await?;
        Ok(is(&prometheus, up, 0.0).await? && alarm.len() == 1)
    })
    .await
}

/// Who runs Prometheus elsewhere names jobs otherwise.
#[test]
fn no_alert_and_no_panel_asks_for_the_name_of_a_job() -> Result<()> {
    for expression in [panels()?, alerts()?].concat() {
        let asks = ["job=", "job!", "instance=", "instance!"];
        assert!(
            !asks.iter().any(|ask| expression.contains(ask)),
            "{expression}"
        );
    }
    Ok(())
}

/// The configurations for a Prometheus elsewhere.
fn configurations() -> Result<Vec<String>> {
    let text = fs::read_to_string(workspace().join("docs/monitoring.md"))?;
    let blocks = text.split("```yaml\n").skip(1);
    let blocks = blocks.filter_map(|rest| rest.split("```").next());
    let found: Vec<_> = blocks.map(str::to_owned).collect();
    assert_eq!(found.len(), 2);
    Ok(found)
}

#[tokio::test]
async fn promtool_finds_no_fault_with_the_alerts_and_the_configurations() -> Result<()> {
    let Some(programs) = programs()? else {
        return Ok(());
    };
    for (what, name) in [("rules", "alerts.yml"), ("config", "prometheus.yml")] {
        let path = workspace().join("monitoring").join(name);
        programs
            .check(&[what, &path.display().to_string()], "")
            .await?;
    }
    for configuration in configurations()? {
        let file = tempfile::NamedTempFile::new()?;
        // Debian's Prometheus is built without Kubernetes: it knows all but that key.
        let known = configuration.replace(
            "kubernetes_sd_configs:\n      - role: endpoints",
            "static_configs: []",
        );
        fs::write(&file, known)?;
        let path = file.path().display().to_string();
        let check = ["config", "--syntax-only", &path];
        programs.check(&check, "").await?;
    }
    Ok(())
}
