//! What the group itself lacks is not held against its consumers.

use anyhow::{Result, ensure};
use harness::{
    Bus, FakeConsumer, PATIENCE, Reply, Service,
    services::{group, redis, wait_for_account},
};
use tokio::process::Command;

/// Sets how many file descriptors a service may have open.
async fn limit_descriptors(service: &Service, most: usize) -> Result<()> {
    let (pid, soft) = (service.pid().to_string(), format!("--nofile={most}:"));
    let set = Command::new("prlimit")
        .args(["--pid", &pid, &soft])
        .status();
    ensure!(set.await?.success(), "cannot set the limit");
    Ok(())
}

/// Waits for two lines of throughput, which are three seconds apart.
async fn wait_some_seconds(group: &Service) -> Result<()> {
    for _ in 0..2 {
        let (log, mark) = (group.log(), group.log().mark());
        log.wait_for_since(mark, "throughput", PATIENCE).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_group_without_file_descriptors_blames_no_consumer_and_goes_on_when_it_has_some()
-> Result<()> {
    let redis = redis().await?;
    let args = ["--healthCheckIntervalSeconds", "1", "--maxAttempts", "2"];
    let (group, bus) = (group(&redis, &args).await?, Bus::of(&redis));
    let mut consumers = Vec::new();
    for _ in 0..2 {
        let consumer = FakeConsumer::start(Reply::status(200)).await?;
        // Each health check needs a connection of its own.
        let close = vec!["Connection: close".to_owned()];
        consumer.answer_health_checks(Reply::Answer(200, close, "{}".to_owned()));
        consumer.register_with(&group).await?;
        consumers.push(consumer);
    }
    // One message each way first, so that only connections to consumers are missing then.
    bus.publish_id("before").await?;
    wait_for_account(&group, 1, 0).await?;

    // What is open stays open.
    limit_descriptors(&group, 3).await?;
    let ids: Vec<_> = (0..100).map(|number| number.to_string()).collect();
    bus.publish_ids(&ids).await?;
    let line = group.wait_for_log("file descriptor", PATIENCE).await?;
    assert!(line.contains(r#""level":"ERROR""#), "{line}");
    assert!(line.contains("LimitNOFILE"), "it says what to do: {line}");
    wait_some_seconds(&group).await?;
    let mut members = bus.members().await?;
    members.sort_unstable();
    let mut expected: Vec<_> = consumers.iter().map(FakeConsumer::id).collect();
    expected.sort_unstable();
    assert_eq!(members, expected, "nobody is removed");

    limit_descriptors(&group, 1024).await?;
    wait_for_account(&group, 101, 0).await?;
    assert!(bus.failed().await?.is_empty());
    let metrics = reqwest::get(group.url("/metrics")).await?.text().await?;
    assert!(
        metrics.contains("consumer_group_ejections_total 0"),
        "{metrics}"
    );
    Ok(())
}
