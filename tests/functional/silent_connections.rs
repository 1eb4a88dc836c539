//! Connections to Redis that stand, take all that is sent, and never bring an answer, while new ones would: a
//! primary frozen behind an address that has moved, a proxy or a tunnel that has lost its other half.

use anyhow::Result;
use harness::{
    Break, Bus, FaultProxy, PATIENCE, PrivateRedis, Service,
    calls::{self, post},
    services::{binaries, consumer_at_redis, group, redis, wait_until_subscribed},
    wait_until,
};
use serde_json::json;

/// How many messages are published once connections are silent.
const COUNT: usize = 20;

async fn proxy_of(redis: &PrivateRedis) -> Result<FaultProxy> {
    FaultProxy::start(&format!("127.0.0.1:{}", redis.port())).await
}

async fn publish(bus: &Bus) -> Result<()> {
    let ids: Vec<_> = (0..COUNT).map(|number| format!("m{number}")).collect();
    bus.publish_ids(&ids).await?;
    Ok(())
}

/// A consumer at a proxy of its own, which falls silent; all that is published then is to be recorded.
async fn expect_recorded(redis: &PrivateRedis, group: &Service, args: &[&str]) -> Result<()> {
    let bus = Bus::of(redis);
    let proxy = proxy_of(redis).await?;
    let _consumer = match args {
        [] => consumer_at_redis(proxy.port(), group, args).await?,
        pulls => {
            let port = proxy.port().to_string();
            let own = ["--restApiPort", "0", "--redisServerPort", &port];
            let program = &binaries().await?.consumer;
            Service::start(program, &[&own, pulls].concat(), &[]).await?
        }
    };
    bus.publish_id("first").await?;
    bus.wait_for_processed(1).await?;
    proxy.break_open(Break::Hang);
    publish(&bus).await?;
    let entries = bus.wait_for_processed(1 + COUNT).await?;
    assert_eq!(harness::bus::repeated(&entries)?, [""; 0]);
    assert_eq!(bus.failed().await?.len(), 0);
    Ok(())
}

#[tokio::test]
async fn what_is_pushed_to_a_consumer_with_a_silent_connection_is_recorded() -> Result<()> {
    let redis = redis().await?;
    let group = group(&redis, &[]).await?;
    expect_recorded(&redis, &group, &[]).await
}

#[tokio::test]
async fn a_consumer_that_pulls_over_silent_connections_records_what_comes() -> Result<()> {
    let redis = redis().await?;
    let group = group(&redis, &[]).await?;
    expect_recorded(&redis, &group, &["--intake", "pull"]).await
}

#[tokio::test]
async fn a_group_with_silent_connections_takes_calls_and_delivers_again() -> Result<()> {
    let redis = redis().await?;
    let (bus, proxy) = (Bus::of(&redis), proxy_of(&redis).await?);
    let port = proxy.port().to_string();
    let args = ["--restApiPort", "0", "--redisServerPort", &port];
    let group = Service::start(&binaries().await?.group, &args, &[]).await?;
    wait_until_subscribed(&group).await?;
    let _consumer = harness::services::consumer(&redis, &group, &[]).await?;
    bus.publish_id("first").await?;
    bus.wait_for_processed(1).await?;
    proxy.break_open(Break::Hang);
    wait_until("a message to be taken", PATIENCE, async || {
        let answer = post(&group, "/messages", &json!({ "message_id": "m" })).await?;
        Ok(answer.status == 202)
    })
    .await?;
    bus.wait_for_processed(2).await?;
    assert_eq!(calls::register(&group, "h:1").await?.status, 200);
    assert_eq!(calls::get(&group, "/status").await?.status, 200);
    Ok(())
}
