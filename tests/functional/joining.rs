//! Who is in the list and is given nothing, yet or ever.

use anyhow::Result;
use harness::{
    Bus, FakeConsumer, PATIENCE, Reply, Service,
    calls::register,
    services::{binaries, fixed_port, group, redis, wait_for_members},
    status::status,
    wait_until,
};
use serde_json::json;

async fn wait_for_state(group: &Service, id: &str, state: &str) -> Result<()> {
    let what = format!("{id} to be {state}");
    wait_until(&what, PATIENCE, async || {
        let status = status(group).await?;
        let mut consumers = status["consumers"].as_array().into_iter().flatten();
        Ok(consumers.any(|one| one["consumer_id"] == id && one["state"] == state))
    })
    .await
}

async fn publish(bus: &Bus, prefix: &str) -> Result<()> {
    let ids: Vec<_> = (0..20).map(|number| format!("{prefix}{number}")).collect();
    bus.publish_ids(&ids).await.map(drop)
}

#[tokio::test]
async fn a_member_is_given_nothing_until_its_health_check_was_answered_with_200() -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    let silent = FakeConsumer::start(Reply::status(200)).await?;
    silent.answer_health_checks(Reply::Silence);
    assert_eq!(register(&group, &silent.id()).await?.status, 200);
    wait_for_state(&group, &silent.id(), "joining").await?;
    let well = FakeConsumer::join(&group, Reply::status(200)).await?;
    publish(&bus, "a").await?;
    wait_until("the other to get all", PATIENCE, async || {
        Ok(well.received()?.len() == 20)
    })
    .await?;
    assert!(silent.received()?.is_empty());

    // Removed for not answering or not: once it answers it is given its part.
    silent.answer_health_checks(Reply::status(200));
    wait_for_state(&group, &silent.id(), "active").await?;
    publish(&bus, "b").await?;
    wait_until("both to get some", PATIENCE, async || {
        Ok(silent.received()?.len() + well.received()?.len() == 40)
    })
    .await?;
    assert!(!silent.received()?.is_empty());
    Ok(())
}

#[tokio::test]
async fn one_whose_health_check_is_answered_with_404_is_no_consumer() -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    let other_program = FakeConsumer::start(Reply::status(404)).await?;
    other_program.answer_health_checks(Reply::status(404));
    register(&group, &other_program.id()).await?;
    let well = FakeConsumer::join(&group, Reply::status(200)).await?;
    publish(&bus, "m").await?;
    wait_for_members(&bus, &[&well.id()]).await?;
    assert_eq!(well.received()?.len(), 20);
    assert!(other_program.received()?.is_empty());
    assert!(bus.failed().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn one_that_listens_after_it_has_registered_is_taken_in() -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    let port = fixed_port()?.to_string();
    let id = format!("127.0.0.1:{port}");
    register(&group, &id).await?;
    wait_for_state(&group, &id, "joining").await?;
    bus.publish_id("m").await?;
    // Its own registrar finds no group; it was registered by hand.
    let (redis_port, nowhere) = (redis.port_text(), "1");
    let args = [
        ["--restApiPort", &port],
        ["--redisServerPort", &redis_port],
        ["--consumerGroupAppPort", nowhere],
    ];
    let _consumer = Service::start(&binaries().await?.consumer, &args.concat(), &[]).await?;
    wait_for_state(&group, &id, "active").await?;
    bus.wait_for_processed(1).await.map(drop)
}

#[tokio::test]
async fn the_groups_own_address_is_never_a_member() -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    let other_group = harness::services::group(&redis, &["--consumerList", "other:ids"]).await?;
    let own = [
        "127.0.0.1",
        "localhost",
        "LocalHost",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
    ]
    .map(|host| format!("{host}:{}", group.port_text()));
    for id in &own {
        let answer = register(&group, id).await?;
        assert_eq!(answer.status, 400, "{id}");
        assert!(answer.error()?.contains("own address"), "{answer:?}");
    }
    assert!(bus.members().await?.is_empty());

    // Whoever writes the list by hand, or names another group, does no harm either.
    let well = FakeConsumer::join(&group, Reply::status(200)).await?;
    let others = format!("127.0.0.1:{}", other_group.port_text());
    bus.command::<u64>(&["RPUSH", "consumer:ids", &own[0], &others])
        .await?;
    publish(&bus, "m").await?;
    wait_for_members(&bus, &[&well.id()]).await?;
    harness::status::wait_for_status(&group, &json!({ "processed": 20, "dead_lettered": 0 })).await
}
