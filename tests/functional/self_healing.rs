//! What breaks is used again when it is whole, without touching the rest.

use std::time::Duration;

use anyhow::{Context, Result};
use harness::{
    Bus, Ledger, PATIENCE, Signal, Stack, StackOptions,
    services::{
        consumer_without_group, fixed_port, group_at, id_of, redis, wait_for_members,
        wait_until_joined, wait_until_subscribed,
    },
    status::wait_for_status,
    wait_until,
};
use serde_json::json;

/// How soon everything must work again.
const HEALED: Duration = Duration::from_secs(10);

/// How long Redis is frozen.
const FROZEN: Duration = Duration::from_secs(10);

/// How long Redis is busy with a script: it answers several pings with an error meanwhile.
const BUSY: Duration = Duration::from_secs(5);

/// How many messages are published before and after something breaks.
const BURST: usize = 200;

/// A group with two consumers on a Redis that keeps what it has.
async fn stack() -> Result<Stack> {
    Stack::start(StackOptions {
        redis_args: &["--appendonly", "yes", "--appendfsync", "no"],
        consumer_args: &["--registrationCheckIntervalSeconds", "1"],
        ..StackOptions::default()
    })
    .await
}

/// Publishes, breaks something while that is being processed, and expects everything to work again
/// soon and nothing to be lost.
async fn expect_healing(
    stack: &mut Stack,
    break_it: impl AsyncFnOnce(&mut Stack) -> Result<()>,
) -> Result<()> {
    let (bus, mut ledger) = (Bus::of(&stack.redis), Ledger::default());
    ledger.publish(&bus, BURST).await;
    assert_eq!(ledger.heard(), BURST);
    break_it(stack).await?;
    let healed = ledger.wait_until_it_works(&bus, HEALED).await;
    healed.with_context(|| stack.group.logs().join("\n"))?;
    let heard = ledger.heard();
    ledger.publish(&bus, BURST).await;
    assert_eq!(ledger.heard(), heard + BURST, "somebody listens again");
    ledger.wait_until_settled(&bus).await?;
    Ok(())
}

#[tokio::test]
async fn redis_stopped_and_started_again_is_found_again() -> Result<()> {
    let mut stack = stack().await?;
    expect_healing(&mut stack, async |stack| {
        stack.redis.stop().await?;
        stack.redis.start_again().await
    })
    .await?;
    assert_eq!(Bus::of(&stack.redis).members().await?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_redis_that_lost_everything_is_found_again_and_the_consumers_register() -> Result<()> {
    let mut stack = Stack::start(StackOptions {
        consumer_args: &["--registrationCheckIntervalSeconds", "1"],
        ..StackOptions::default()
    })
    .await?;
    let (bus, mut ledger) = (Bus::of(&stack.redis), Ledger::default());
    stack.redis.kill().await?;
    stack.redis.start_again().await?;
    ledger.wait_until_it_works(&bus, HEALED).await?;
    wait_until("both consumers to register", PATIENCE, async || {
        Ok(bus.members().await?.len() == 2)
    })
    .await
}

#[tokio::test]
async fn while_redis_is_busy_with_a_script_the_subscription_stands() -> Result<()> {
    let stack = stack().await?;
    let bus = Bus::of(&stack.redis);
    bus.command::<()>(&["CONFIG", "SET", "busy-reply-threshold", "10"])
        .await?;
    let kill = async {
        tokio::time::sleep(BUSY).await;
        bus.command::<()>(&["SCRIPT", "KILL"]).await
    };
    let endless = ["EVAL", "while true do end", "0"];
    let (ended, killed) = tokio::join!(bus.command::<()>(&endless), kill);
    assert!(ended.is_err());
    killed?;
    let mut ledger = Ledger::default();
    ledger.publish(&bus, BURST).await;
    assert_eq!(ledger.heard(), BURST);
    ledger.wait_until_settled(&bus).await?;
    wait_for_status(&stack.group, &json!({ "subscription_gaps": 0 })).await
}

async fn expect_healing_after(command: &[&str]) -> Result<()> {
    let mut stack = stack().await?;
    expect_healing(&mut stack, async |stack| {
        Bus::of(&stack.redis).command::<()>(command).await
    })
    .await
}

#[tokio::test]
async fn a_killed_subscription_is_renewed() -> Result<()> {
    expect_healing_after(&["CLIENT", "KILL", "TYPE", "pubsub"]).await
}

#[tokio::test]
async fn killed_connections_are_renewed() -> Result<()> {
    expect_healing_after(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await
}

#[tokio::test]
async fn lost_scripts_are_loaded_again() -> Result<()> {
    let stack = stack().await?;
    let bus = Bus::of(&stack.redis);
    bus.command::<()>(&["SCRIPT", "FLUSH", "SYNC"]).await?;
    let answer = harness::calls::register(&stack.group, "h:1").await?;
    assert_eq!(answer.status, 200);
    let mut ledger = Ledger::default();
    ledger.wait_until_it_works(&bus, HEALED).await
}

#[tokio::test]
async fn after_a_freeze_of_redis_everything_goes_on_and_nothing_is_lost() -> Result<()> {
    let mut stack = stack().await?;
    expect_healing(&mut stack, async |stack| {
        stack.redis.freeze()?;
        tokio::time::sleep(FROZEN).await;
        stack.redis.thaw()
    })
    .await
}

#[tokio::test]
async fn after_flushall_the_consumers_come_back_by_themselves() -> Result<()> {
    let stack = stack().await?;
    let (bus, mut ledger) = (Bus::of(&stack.redis), Ledger::default());
    bus.command::<()>(&["FLUSHALL"]).await?;
    ledger.wait_until_it_works(&bus, HEALED).await?;
    wait_until("both consumers to register", PATIENCE, async || {
        Ok(bus.members().await?.len() == 2)
    })
    .await?;
    ledger.publish(&bus, BURST).await;
    ledger.wait_until_settled(&bus).await?;
    Ok(())
}

#[tokio::test]
async fn a_group_started_after_its_consumers_has_them() -> Result<()> {
    let (redis, port) = (redis().await?, fixed_port()?);
    let bus = Bus::of(&redis);
    let consumers = [
        consumer_without_group(&redis, port, &[]).await?,
        consumer_without_group(&redis, port, &[]).await?,
    ];
    for consumer in &consumers {
        let text = "not registered with the group";
        consumer.wait_for_log(text, PATIENCE).await?;
    }
    let _group = group_at(port, &redis, &[]).await?;
    let mut ledger = Ledger::default();
    ledger.wait_until_it_works(&bus, HEALED).await?;
    wait_for_members(&bus, &[&id_of(&consumers[0])?, &id_of(&consumers[1])?]).await?;
    ledger.publish(&bus, BURST).await;
    ledger.wait_until_settled(&bus).await?;
    Ok(())
}

#[tokio::test]
async fn a_group_killed_and_started_again_goes_on_with_its_consumers() -> Result<()> {
    let (redis, port) = (redis().await?, fixed_port()?);
    let bus = Bus::of(&redis);
    let mut group = group_at(port, &redis, &[]).await?;
    let consumer = consumer_without_group(&redis, port, &[]).await?;
    wait_until_joined(&group, &id_of(&consumer)?).await?;
    wait_until_subscribed(&group).await?;
    let mut ledger = Ledger::default();
    ledger.publish(&bus, BURST).await;
    ledger.wait_until_settled(&bus).await?;
    group.kill().await?;

    ledger.publish(&bus, 1).await;
    assert_eq!(ledger.heard(), BURST, "nobody listens");
    let _group = group_at(port, &redis, &[]).await?;
    ledger.wait_until_it_works(&bus, HEALED).await?;
    ledger.publish(&bus, BURST).await;
    ledger.wait_until_settled(&bus).await?;
    assert_eq!(bus.members().await?, [id_of(&consumer)?]);
    Ok(())
}

#[tokio::test]
async fn a_group_frozen_for_4_s_hears_what_was_published_meanwhile_when_it_goes_on() -> Result<()> {
    let stack = Stack::start(StackOptions::default()).await?;
    let (bus, mut ledger) = (Bus::of(&stack.redis), Ledger::default());
    ledger.publish(&bus, 100).await;
    stack.group.signal(Signal::SIGSTOP)?;
    ledger.publish_steadily(&bus, 2000, 500).await;
    stack.group.signal(Signal::SIGCONT)?;
    ledger.publish(&bus, 100).await;
    assert_eq!(ledger.heard(), 2200);
    let account = ledger.wait_until_balanced(&bus).await?;
    assert_eq!(account.processed.len(), 2200, "{:?}", account.failed);
    wait_until("the consumers to be members still", PATIENCE, async || {
        Ok(bus.members().await?.len() == 2)
    })
    .await
}

#[tokio::test]
async fn a_group_that_redis_cut_off_for_falling_behind_says_so_and_hears_again() -> Result<()> {
    let stack = Stack::start(StackOptions {
        redis_args: &["--client-output-buffer-limit", "pubsub 1mb 512kb 1"],
        ..StackOptions::default()
    })
    .await?;
    let (bus, mut ledger) = (Bus::of(&stack.redis), Ledger::default());
    let mark = stack.group.log().mark();
    stack.group.signal(Signal::SIGSTOP)?;
    while ledger.heard() == ledger.published() {
        assert!(ledger.published() < 1000, "Redis keeps it all");
        ledger.publish_large(&bus, 10, 100_000).await;
    }
    // What Redis still held for it is gone; it cannot know how much that was.
    ledger.excuse_from(0);
    stack.group.signal(Signal::SIGCONT)?;
    let notice = "the subscription was interrupted";
    let log = stack.group.log();
    log.wait_for_since(mark, notice, HEALED).await?;
    ledger.publish(&bus, BURST).await;
    assert_eq!(ledger.heard(), BURST);
    let account = ledger.wait_until_balanced(&bus).await?;
    assert!(account.failed.is_empty(), "{:?}", account.failed);
    Ok(())
}
