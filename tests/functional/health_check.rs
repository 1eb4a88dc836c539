//! Which consumers the group believes to be alive.

use anyhow::Result;
use harness::{
    Bus, FakeConsumer, PATIENCE, Reply, Signal, Stack, StackOptions,
    services::{self, group, id_of, redis, wait_for_members},
    wait_until,
};

#[tokio::test]
async fn a_dead_consumer_is_removed_at_the_next_check() -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (
        group(&redis, &["--healthCheckIntervalSeconds", "1"]).await?,
        Bus::of(&redis),
    );
    let living = services::consumer(&redis, &group, &[]).await?;
    let mut dying = services::consumer(&redis, &group, &[]).await?;
    dying.kill().await?;
    wait_for_members(&bus, &[&id_of(&living)?]).await
}

#[tokio::test]
async fn one_that_keeps_failing_and_answers_no_health_check_is_removed() -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    let well = FakeConsumer::join(&group, Reply::status(200)).await?;
    let sick = FakeConsumer::join(&group, Reply::status(500)).await?;
    sick.answer_health_checks(Reply::Silence);
    wait_until("the sick one to be removed", PATIENCE, async || {
        bus.publish_id("m").await?;
        Ok(bus.members().await? == [well.id()])
    })
    .await?;
    assert!(sick.received()?.len() >= 5, "five failures eject");
    assert!(sick.health_checks() > 0);
    Ok(())
}

#[tokio::test]
async fn one_that_fails_but_is_well_stays_a_member() -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    let well = FakeConsumer::join(&group, Reply::status(200)).await?;
    let failing = FakeConsumer::join(&group, Reply::status(500)).await?;
    wait_until("the failing one to be checked", PATIENCE, async || {
        bus.publish_id("m").await?;
        Ok(failing.health_checks() > 0)
    })
    .await?;
    let members = bus.members().await?;
    assert_eq!(members, [well.id(), failing.id()]);
    Ok(())
}

#[tokio::test]
async fn a_frozen_consumer_is_removed_and_put_back_when_it_goes_on() -> Result<()> {
    let mut stack = Stack::start(StackOptions {
        group_args: &[
            "--healthCheckIntervalSeconds",
            "1",
            "--attemptTimeoutMs",
            "500",
        ],
        ..StackOptions::default()
    })
    .await?;
    let bus = Bus::of(&stack.redis);
    let [frozen, other] = [&stack.consumers[0], &stack.consumers[1]];
    let (frozen_id, other_id) = (id_of(frozen)?, id_of(other)?);
    frozen.signal(Signal::SIGSTOP)?;
    wait_for_members(&bus, &[&other_id]).await?;
    bus.publish_id("meanwhile").await?;
    bus.wait_for_processed(1).await?;
    frozen.signal(Signal::SIGCONT)?;
    wait_for_members(&bus, &[&frozen_id, &other_id]).await?;

    // It is given messages again: with the other one gone it must be.
    stack.consumers[1].terminate(PATIENCE).await?;
    bus.publish_id("again").await?;
    wait_until("the message to be processed", PATIENCE, async || {
        let entries = bus.processed().await?;
        Ok(harness::bus::ids(&entries)?.contains(&"again".to_owned()))
    })
    .await
}
