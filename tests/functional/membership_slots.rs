//! Which consumers take a slot of a full group.

use std::time::Instant;

use anyhow::Result;
use harness::{
    Bus, FakeConsumer, PATIENCE, Reply,
    calls::{post_to, register},
    services::{fixed_port, group, redis, wait_for_members},
    wait_until,
};
use serde_json::json;
use tokio::task::JoinSet;

const SLOTS: usize = 5;

async fn fill_with_dead_ids(bus: &Bus) -> Result<()> {
    let mut push = vec!["RPUSH".to_owned(), "consumer:ids".to_owned()];
    for _ in 0..SLOTS {
        push.push(format!("127.0.0.1:{}", fixed_port()?));
    }
    let push: Vec<_> = push.iter().map(String::as_str).collect();
    bus.command::<u64>(&push).await?;
    Ok(())
}

#[tokio::test]
async fn a_list_full_of_dead_ids_has_room_for_all_that_register() -> Result<()> {
    let redis = redis().await?;
    // Nothing is published, and the next sweep is in five minutes.
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    let first = FakeConsumer::join(&group, Reply::status(200)).await?;
    bus.command::<u64>(&["DEL", "consumer:ids"]).await?;
    fill_with_dead_ids(&bus).await?;
    let mut others = Vec::new();
    for _ in 1..SLOTS {
        others.push(FakeConsumer::start(Reply::status(200)).await?);
    }
    let mut ids = vec![first.id()];
    ids.extend(others.iter().map(FakeConsumer::id));
    let mut registering = JoinSet::new();
    for id in ids.clone() {
        let (url, body) = (group.url("/register"), json!({ "consumer_id": id }));
        registering.spawn(async move { post_to(&url, &body).await });
    }
    for answer in registering.join_all().await {
        answer?;
    }
    // On a very busy machine the checks may have taken longer than a registration waits.
    for id in &ids {
        wait_until("it to be registered", PATIENCE, async || {
            Ok(register(&group, id).await?.status == 200)
        })
        .await?;
    }
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    wait_for_members(&bus, &ids).await
}

#[tokio::test]
async fn a_slot_whose_owner_hangs_is_free_for_one_that_tries_again() -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (
        group(&redis, &["--maxConsumerGroupSize", "1"]).await?,
        Bus::of(&redis),
    );
    let hung = FakeConsumer::join(&group, Reply::status(200)).await?;
    hung.answer_health_checks(Reply::status(500));
    let living = FakeConsumer::start(Reply::status(200)).await?;
    wait_until("the slot to be free", PATIENCE, async || {
        Ok(register(&group, &living.id()).await?.status == 200)
    })
    .await?;
    wait_for_members(&bus, &[&living.id()]).await
}

#[tokio::test]
async fn living_members_keep_their_slots_and_are_asked_once_a_second_at_the_most() -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (
        group(&redis, &["--maxConsumerGroupSize", "2"]).await?,
        Bus::of(&redis),
    );
    let began = Instant::now();
    let members = [
        FakeConsumer::join(&group, Reply::status(200)).await?,
        FakeConsumer::join(&group, Reply::status(200)).await?,
    ];
    let further = FakeConsumer::start(Reply::status(200)).await?;
    for _ in 0..4 {
        let answer = register(&group, &further.id()).await?;
        assert_eq!(answer.status, 500);
        answer.reference("Failed to register consumer!")?;
    }
    for member in &members {
        let most = usize::try_from(began.elapsed().as_secs())? + 2;
        let checks = member.health_checks();
        assert!((2..=most).contains(&checks), "{checks} checks");
    }
    let ids = members.each_ref().map(FakeConsumer::id);
    assert_eq!(bus.members().await?, ids);
    Ok(())
}

#[tokio::test]
async fn of_twenty_that_register_at_once_exactly_as_many_get_in_as_there_is_room() -> Result<()> {
    let redis = redis().await?;
    let group = group(&redis, &["--maxConsumerGroupSize", "5"]).await?;
    let mut registering = JoinSet::new();
    let mut consumers = Vec::new();
    for _ in 1..=20 {
        let consumer = FakeConsumer::start(Reply::status(200)).await?;
        let (url, body) = (
            group.url("/register"),
            json!({ "consumer_id": consumer.id() }),
        );
        consumers.push(consumer);
        registering.spawn(async move { post_to(&url, &body).await });
    }
    let mut statuses = Vec::new();
    for answer in registering.join_all().await {
        statuses.push(answer?.status);
    }
    let count = |status| statuses.iter().filter(|&&s| s == status).count();
    assert_eq!((count(200), count(500)), (5, 15), "{statuses:?}");
    assert_eq!(Bus::of(&redis).members().await?.len(), 5);
    Ok(())
}
