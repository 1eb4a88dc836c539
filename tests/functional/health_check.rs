//! Which consumers the group believes to be alive.

use std::time::Duration;

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Result;
use harness::{
    Bus, FakeConsumer, PATIENCE, Reply, Signal, Stack, StackOptions,
    services::{self, group, id_of, redis, wait_for_members},
    wait_until,
};

/// An id that no other message has.
fn new_id() -> String {
    static LAST: AtomicU32 = AtomicU32::new(0);
    LAST.fetch_add(1, Ordering::Relaxed).to_string()
}

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
        bus.publish_id(&new_id()).await?;
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
        bus.publish_id(&new_id()).await?;
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

#[tokio::test]
async fn many_that_hang_do_not_delay_the_check_of_another() -> Result<()> {
    let redis = redis().await?;
    let args = [
        ["--maxConsumerGroupSize", "40"],
        ["--healthCheckIntervalSeconds", "1"],
    ];
    let (group, bus) = (group(&redis, &args.concat()).await?, Bus::of(&redis));
    let well = FakeConsumer::join(&group, Reply::status(200)).await?;
    let mut frozen = Vec::new();
    for _ in 0..20 {
        frozen.push(FakeConsumer::join(&group, Reply::status(200)).await?);
    }
    frozen
        .iter()
        .for_each(|one| one.answer_health_checks(Reply::status(500)));
    wait_for_members(&bus, &[&well.id()]).await?;
    // Each of them is looked for again and again, and takes as long as a check may.
    frozen
        .iter()
        .for_each(|one| one.answer_health_checks(Reply::Silence));
    let checks = || {
        frozen
            .iter()
            .map(FakeConsumer::health_checks)
            .sum::<usize>()
    };
    let before = checks();
    wait_until("them to be looked for", PATIENCE, async || {
        Ok(checks() > before)
    })
    .await?;
    let sick = FakeConsumer::join(&group, Reply::status(200)).await?;
    sick.answer_health_checks(Reply::status(500));
    wait_for_members(&bus, &[&well.id()]).await?;
    assert!(sick.health_checks() > 1);
    Ok(())
}

#[tokio::test]
async fn a_check_during_which_the_group_itself_was_stopped_is_no_verdict() -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (
        group(&redis, &["--healthCheckIntervalSeconds", "1"]).await?,
        Bus::of(&redis),
    );
    let consumer = FakeConsumer::join(&group, Reply::status(200)).await?;
    consumer.answer_health_checks(Reply::Late(
        Duration::from_millis(300),
        Box::new(Reply::status(200)),
    ));
    let next_check = async || {
        let before = consumer.health_checks();
        wait_until("the next check", PATIENCE, async || {
            Ok(consumer.health_checks() > before)
        })
        .await
    };
    for _ in 0..4 {
        next_check().await?;
        group.signal(Signal::SIGSTOP)?;
        // The time itself is the fault: longer than a check may take.
        tokio::time::sleep(Duration::from_millis(2300)).await;
        group.signal(Signal::SIGCONT)?;
    }
    next_check().await?;
    next_check().await?;
    assert_eq!(bus.members().await?, [consumer.id()]);
    let removed = services::log_of(&group)
        .iter()
        .any(|line| line["message"] == "removed a consumer that does not answer");
    assert!(!removed);
    Ok(())
}
