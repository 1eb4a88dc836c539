//! What a consumer did although its answer came late or never is not done again.

use std::time::Duration;

use anyhow::Result;
use harness::{
    Bus, Cable, Entry, Fault, FaultProxy, Ledger, PATIENCE, Service, Signal, Stack, StackOptions,
    services::{self, consumer_behind, group, id_of, redis},
    wait_until,
};
use tokio::{sync::Mutex, time::Instant};

/// How long a fault lasts while messages are published.
const BROKEN: Duration = Duration::from_secs(3);

/// How long an attempt may take, so that many time out while something is broken.
const IMPATIENT: [&str; 2] = ["--attemptTimeoutMs", "500"];

/// How many messages are published while something is broken.
const MEANWHILE: usize = 300;

/// Publishes before something breaks, while it is broken, and after.
async fn publish_around(
    bus: &Bus,
    break_it: impl AsyncFnOnce() -> Result<()>,
    heal_it: impl AsyncFnOnce() -> Result<()>,
) -> Result<Ledger> {
    let mut ledger = Ledger::default();
    // Some are under way when it breaks.
    ledger.publish_steadily(bus, 100, 500).await;
    break_it().await?;
    let broken = Instant::now();
    ledger.publish_steadily(bus, MEANWHILE, 150).await;
    tokio::time::sleep_until(broken + BROKEN).await;
    heal_it().await?;
    ledger.publish(bus, 100).await;
    assert_eq!(ledger.heard(), MEANWHILE + 200);
    Ok(ledger)
}

/// The same around a fault of one consumer. When it is used again, and has thereby caught up with what
/// it was given before, each message is one entry of the processed.
async fn expect_each_once(
    bus: &Bus,
    faulty: &Service,
    break_it: impl AsyncFnOnce() -> Result<()>,
    heal_it: impl AsyncFnOnce() -> Result<()>,
) -> Result<()> {
    let ledger = publish_around(bus, break_it, heal_it).await?;
    ledger.wait_until_settled(bus).await?;
    let (first, faulty) = (ledger.published(), id_of(faulty)?);
    let is_new = |entry: &Entry| -> Result<bool> {
        let number: usize = entry.text("message_id")?.parse()?;
        Ok(number >= first && entry.text("consumer_id")? == faulty)
    };
    let ledger = Mutex::new(ledger);
    wait_until("the consumer to be used again", PATIENCE, async || {
        ledger.lock().await.publish(bus, 1).await;
        let entries = bus.processed().await?;
        let found: Result<Vec<_>> = entries.iter().map(is_new).collect();
        Ok(found?.contains(&true))
    })
    .await?;
    expect_balance(bus, &ledger.into_inner()).await
}

async fn expect_balance(bus: &Bus, ledger: &Ledger) -> Result<()> {
    let account = ledger.wait_until_balanced(bus).await?;
    assert!(account.failed.is_empty(), "{:?}", account.failed);
    assert_eq!(account.processed.len(), ledger.published());
    Ok(())
}

/// A fault between the group and one of two consumers.
async fn expect_each_once_despite(fault: Fault) -> Result<()> {
    let redis = redis().await?;
    let group = group(&redis, &IMPATIENT).await?;
    let _near = services::consumer(&redis, &group, &[]).await?;
    let args = ["--registrationCheckIntervalSeconds", "1"];
    let (behind, proxy) = consumer_behind(&redis, &group, &args).await?;
    let (broken, healed) = (set(&proxy, fault), set(&proxy, Fault::Pass));
    expect_each_once(&Bus::of(&redis), &behind, broken, healed).await
}

fn set(proxy: &FaultProxy, fault: Fault) -> impl AsyncFnOnce() -> Result<()> {
    async move || {
        proxy.set(fault);
        Ok(())
    }
}

#[tokio::test]
async fn a_dead_network_to_a_consumer_repeats_nothing() -> Result<()> {
    expect_each_once_despite(Fault::BlackHole).await
}

#[tokio::test]
async fn a_network_that_carries_only_requests_to_a_consumer_repeats_nothing() -> Result<()> {
    expect_each_once_despite(Fault::OneWay).await
}

#[tokio::test]
async fn answers_of_a_consumer_that_are_cut_in_the_middle_repeat_nothing() -> Result<()> {
    expect_each_once_despite(Fault::CutAfter(60)).await
}

#[tokio::test]
async fn connections_to_a_consumer_that_are_reset_repeat_nothing() -> Result<()> {
    expect_each_once_despite(Fault::Reset).await
}

#[tokio::test]
async fn a_consumer_frozen_under_load_repeats_nothing_when_it_goes_on() -> Result<()> {
    let stack = Stack::start(StackOptions {
        group_args: &IMPATIENT,
        ..StackOptions::default()
    })
    .await?;
    let frozen = &stack.consumers[0];
    expect_each_once(
        &Bus::of(&stack.redis),
        frozen,
        async || frozen.signal(Signal::SIGSTOP),
        async || frozen.signal(Signal::SIGCONT),
    )
    .await
}

#[tokio::test]
async fn a_consumer_killed_under_load_leaves_nothing_half_done() -> Result<()> {
    let mut stack = Stack::start(StackOptions {
        group_args: &IMPATIENT,
        ..StackOptions::default()
    })
    .await?;
    let bus = Bus::of(&stack.redis);
    let mut killed = stack.consumers.remove(0);
    let kill = async || killed.kill().await.map(drop);
    let ledger = publish_around(&bus, kill, async || Ok(())).await?;
    expect_balance(&bus, &ledger).await
}

/// A consumer whose way to Redis is cut, beside one that is well.
async fn expect_each_once_without_redis(cut: impl AsyncFnOnce(&Cable) -> Result<()>) -> Result<()> {
    let cable = Cable::lay().await?;
    let (group, bus) = (cable.near_group(&[]).await?, Bus::of(cable.redis()));
    let _near = cable.near_consumer(&group, &[]).await?;
    let far = cable.far_consumer(&group, &[]).await?;
    let cut = async || cut(&cable).await;
    expect_each_once(&bus, &far, cut, async || cable.heal()).await
}

#[tokio::test]
async fn a_consumer_cut_off_from_redis_repeats_nothing() -> Result<()> {
    expect_each_once_without_redis(async |cable| cable.cut()).await
}

#[tokio::test]
async fn a_consumer_that_does_not_hear_redis_repeats_nothing() -> Result<()> {
    expect_each_once_without_redis(async |cable| cable.cut_answers()).await
}

#[tokio::test]
async fn a_consumer_whose_connections_to_redis_are_reset_repeats_nothing() -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    let _near = services::consumer(&redis, &group, &[]).await?;
    let proxy = FaultProxy::start(&format!("127.0.0.1:{}", redis.port())).await?;
    let far = services::consumer_at_redis(proxy.port(), &group, &[]).await?;
    let (reset, passes) = (set(&proxy, Fault::Reset), set(&proxy, Fault::Pass));
    expect_each_once(&bus, &far, reset, passes).await
}
