//! A bad network between a consumer and the group, or Redis, on which everything arrives in the end.

use std::time::Duration;

use anyhow::Result;
use harness::{
    Bus, Fault, FaultProxy, Ledger, Service,
    services::{self, consumer_behind, group, redis},
};

/// A network between continents.
const FAR: Fault = Fault::Delay {
    latency: Duration::from_millis(100),
    jitter: Duration::from_millis(100),
};

/// Publishes steadily for two seconds; each message is to be processed once, some by this consumer.
async fn expect_all_processed_with(consumer: &Service, bus: &Bus) -> Result<()> {
    let mut ledger = Ledger::default();
    ledger.publish_steadily(bus, 400, 200).await;
    assert_eq!(ledger.heard(), 400);
    let account = ledger.wait_until_balanced(bus).await?;
    assert_eq!(account.processed.len(), 400, "{:?}", account.failed);
    let id = services::id_of(consumer)?;
    let entries = bus.processed().await?;
    let is_its = |entry: &harness::Entry| entry.text("consumer_id").is_ok_and(|by| by == id);
    assert!(entries.iter().any(is_its), "it was never used");
    Ok(())
}

#[tokio::test]
async fn a_consumer_far_from_the_group_works_beside_a_near_one() -> Result<()> {
    let redis = redis().await?;
    let group = group(&redis, &[]).await?;
    let _near = services::consumer(&redis, &group, &[]).await?;
    let (far, proxy) = consumer_behind(&redis, &group, &[]).await?;
    proxy.set(FAR);
    expect_all_processed_with(&far, &Bus::of(&redis)).await
}

#[tokio::test]
async fn a_consumer_on_a_narrow_line_works_beside_a_near_one() -> Result<()> {
    let redis = redis().await?;
    let group = group(&redis, &[]).await?;
    let _near = services::consumer(&redis, &group, &[]).await?;
    let (narrow, proxy) = consumer_behind(&redis, &group, &[]).await?;
    // Each of its 100 messages a second takes about 150 bytes.
    proxy.set(Fault::Throttle(20_000));
    expect_all_processed_with(&narrow, &Bus::of(&redis)).await
}

#[tokio::test]
async fn a_consumer_far_from_redis_works_beside_a_near_one() -> Result<()> {
    let redis = redis().await?;
    let group = group(&redis, &[]).await?;
    let _near = services::consumer(&redis, &group, &[]).await?;
    let proxy = FaultProxy::start(&format!("127.0.0.1:{}", redis.port())).await?;
    proxy.set(FAR);
    let far = services::consumer_at_redis(proxy.port(), &group, &[]).await?;
    expect_all_processed_with(&far, &Bus::of(&redis)).await
}
