//! Idle connections to Redis are cut, as load balancers do: whoever takes one up next notices nothing.

use std::process::Stdio;

use anyhow::{Result, ensure};
use harness::{
    Break, Bus, FaultProxy, PATIENCE, Service,
    calls::{self, get, post},
    services::{binaries, consumer_at_redis, group, redis, wait_until_subscribed},
    status::{status, wait_for_status},
    wait_until,
};
use serde_json::json;
use tokio::{process::Command, time::timeout};

/// How often connections are cut, in each way.
const ROUNDS: usize = 5;

async fn cut(proxy: &FaultProxy, how: Break) -> Result<()> {
    proxy.break_open(how);
    let is_cut = async || Ok(proxy.connections() == 0);
    wait_until("the connections to be cut", PATIENCE, is_cut).await
}

/// Warnings and errors since the mark.
fn troubles_of(service: &Service, mark: usize) -> Vec<String> {
    let mut log = service.logs().split_off(mark);
    log.retain(|line| line.contains(r#""level":"WARN""#) || line.contains(r#""level":"ERROR""#));
    log
}

#[tokio::test]
async fn a_consumer_whose_idle_connection_was_cut_commits_the_next_message_at_the_first_attempt()
-> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    let proxy = FaultProxy::start(&format!("127.0.0.1:{}", redis.port())).await?;
    let consumer = consumer_at_redis(proxy.port(), &group, &[]).await?;
    let (mut count, mark) = (0, consumer.log().mark());
    for how in [Break::Close, Break::Reset].repeat(ROUNDS) {
        bus.publish_id(&format!("m{count}")).await?;
        count += 1;
        wait_for_status(&group, &json!({ "processed": count })).await?;
        cut(&proxy, how).await?;
    }
    bus.publish_id("last").await?;
    wait_for_status(&group, &json!({ "processed": count + 1 })).await?;
    let status = status(&group).await?;
    let outcomes = &status["consumers"][0]["outcomes"];
    assert_eq!(outcomes["delivered"], count + 1, "{status}");
    assert_eq!(outcomes["failed"], 0, "{status}");
    assert_eq!(troubles_of(&consumer, mark), [""; 0]);
    Ok(())
}

#[tokio::test]
async fn a_group_whose_idle_connections_were_cut_answers_the_next_call_of_each_kind() -> Result<()>
{
    let redis = redis().await?;
    let proxy = FaultProxy::start(&format!("127.0.0.1:{}", redis.port())).await?;
    let port = proxy.port().to_string();
    let args = ["--restApiPort", "0", "--redisServerPort", &port];
    let group = Service::start(&binaries().await?.group, &args, &[]).await?;
    wait_until_subscribed(&group).await?;
    // It connects again at once, so that nobody ever sees it without a connection.
    for how in [Break::Close, Break::Reset].repeat(ROUNDS) {
        let message = json!({ "message_id": uuid::Uuid::new_v4().to_string() });
        proxy.break_open(how);
        let answer = post(&group, "/messages", &message).await?;
        ensure!(answer.status == 202, "{how:?}, a message: {answer:?}");
        proxy.break_open(how);
        let answer = get(&group, "/status").await?;
        ensure!(answer.status == 200, "{how:?}, the status: {answer:?}");
        proxy.break_open(how);
        let answer = calls::register(&group, "h:1").await?;
        ensure!(answer.status == 200, "{how:?}, a registration: {answer:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_publisher_whose_idle_connection_was_cut_publishes_the_rest_once() -> Result<()> {
    let redis = redis().await?;
    let group = group(&redis, &[]).await?;
    let proxy = FaultProxy::start(&format!("127.0.0.1:{}", redis.port())).await?;
    let publisher = Command::new(&binaries().await?.publisher)
        .args(["--redisServerPort", &proxy.port().to_string()])
        .args(["--count", "8", "--rate", "4"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    for received in [2, 4] {
        wait_until("messages to be published", PATIENCE, async || {
            Ok(status(&group).await?["received"].as_u64() >= Some(received))
        })
        .await?;
        cut(
            &proxy,
            if received == 2 {
                Break::Close
            } else {
                Break::Reset
            },
        )
        .await?;
    }
    let output = timeout(PATIENCE, publisher.wait_with_output()).await??;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {said}", output.status);
    wait_for_status(&group, &json!({ "received": 8 })).await
}
