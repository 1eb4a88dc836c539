//! The list `consumer:ids`, whoever wrote it.

use anyhow::Result;
use harness::{
    Bus, FakeConsumer, FakeServer, PATIENCE, Reply,
    calls::{self, Answer, check_membership, register},
    services::{self, group, redis, wait_for_members, wait_until_joined},
    wait_until,
};
use serde_json::json;
use tokio::task::JoinSet;

#[tokio::test]
async fn the_sweep_at_start_keeps_the_living_and_removes_the_dead_and_the_malformed() -> Result<()>
{
    let redis = redis().await?;
    let bus = Bus::of(&redis);
    let living = FakeConsumer::start(Reply::status(200)).await?;
    let sick = FakeConsumer::start(Reply::status(200)).await?;
    sick.answer_health_checks(Reply::status(500));
    let tempting = FakeServer::start(|_| Reply::status(200)).await?;
    let (alive, ill) = (living.id(), sick.id());
    let dead = format!("127.0.0.1:{}", services::fixed_port()?);
    let malformed = [
        String::new(),
        "nonsense".to_owned(),
        format!("http://127.0.0.1:{}", tempting.port()),
        format!("127.0.0.1:{}/health", tempting.port()),
        format!("user@127.0.0.1:{}", tempting.port()),
        format!(" 127.0.0.1:{}", tempting.port()),
        "\u{1}\u{0}".to_owned(),
    ];
    let mut push = vec!["RPUSH", "consumer:ids", &dead, &alive, &ill];
    push.extend(malformed.iter().map(String::as_str));
    bus.command::<u64>(&push).await?;

    let group = group(&redis, &[]).await?;
    wait_for_members(&bus, &[&alive]).await?;
    assert!(living.health_checks() > 0);
    assert!(sick.health_checks() > 0);
    assert_eq!(tempting.connections(), 0, "a malformed id was connected to");
    for id in [&dead, &ill] {
        let text = format!(r#""consumer.id":"{id}","cause""#);
        group.wait_for_log(&text, PATIENCE).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_malformed_id_is_never_connected_to_while_it_is_in_the_list() -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    let tempting = FakeServer::start(|_| Reply::status(200)).await?;
    let malformed = format!("http://127.0.0.1:{}", tempting.port());
    bus.command::<u64>(&["RPUSH", "consumer:ids", &malformed, "\u{7f}"])
        .await?;
    let consumer = FakeConsumer::join(&group, Reply::status(200)).await?;
    for number in 0..20 {
        bus.publish_id(&format!("m{number}")).await?;
    }
    wait_until("all messages to be delivered", PATIENCE, async || {
        Ok(consumer.received()?.len() == 20)
    })
    .await?;
    assert_eq!(tempting.connections(), 0);
    Ok(())
}

#[tokio::test]
async fn malformed_entries_are_removed_at_the_next_sweep_too() -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (
        group(&redis, &["--healthCheckIntervalSeconds", "1"]).await?,
        Bus::of(&redis),
    );
    let consumer = FakeConsumer::join(&group, Reply::status(200)).await?;
    bus.command::<u64>(&["LPUSH", "consumer:ids", "nonsense", "http://h:1"])
        .await?;
    wait_for_members(&bus, &[&consumer.id()]).await
}

#[tokio::test]
async fn an_id_written_twice_by_hand_is_one_consumer_and_leaves_as_one() -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    let consumer = FakeConsumer::start(Reply::status(200)).await?;
    let id = consumer.id();
    bus.command::<u64>(&["RPUSH", "consumer:ids", &id, &id, &id])
        .await?;
    wait_until_joined(&group, &id).await?;
    bus.publish_id("m").await?;
    wait_until("the message to be delivered", PATIENCE, async || {
        Ok(!consumer.received()?.is_empty())
    })
    .await?;
    assert_eq!(consumer.received()?, ["m"]);

    assert_eq!(register(&group, &id).await?.status, 200);
    assert_eq!(
        bus.members().await?,
        [id.as_str()],
        "registering puts it right"
    );
    bus.command::<u64>(&["RPUSH", "consumer:ids", &id]).await?;
    assert_eq!(calls::unregister(&group, &id).await?.status, 200);
    assert_eq!(check_membership(&group, &id).await?.status, 404);
    Ok(())
}

#[tokio::test]
async fn the_group_follows_what_is_written_to_the_list_by_hand() -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    let [first, second] = [
        FakeConsumer::join(&group, Reply::status(200)).await?,
        FakeConsumer::start(Reply::status(200)).await?,
    ];
    bus.command::<u64>(&["RPUSH", "consumer:ids", &second.id()])
        .await?;
    wait_until_joined(&group, &second.id()).await?;
    bus.command::<u64>(&["LREM", "consumer:ids", "0", &first.id()])
        .await?;
    group
        .wait_for_log(r#""message":"a consumer left""#, PATIENCE)
        .await?;
    for number in 0..20 {
        bus.publish_id(&format!("m{number}")).await?;
    }
    wait_until("the second consumer to get all", PATIENCE, async || {
        Ok(second.received()?.len() == 20)
    })
    .await?;
    assert!(first.received()?.is_empty());
    Ok(())
}

#[tokio::test]
async fn two_groups_that_share_the_list_keep_its_bound_together() -> Result<()> {
    let redis = redis().await?;
    let size = ["--maxConsumerGroupSize", "5"];
    let groups = [group(&redis, &size).await?, group(&redis, &size).await?];
    let (mut at_first, mut at_second) = (JoinSet::new(), JoinSet::new());
    let urls = groups.each_ref().map(|group| group.url("/register"));
    let mut consumers = Vec::new();
    for _ in 1..=10 {
        consumers.push([
            FakeConsumer::start(Reply::status(200)).await?,
            FakeConsumer::start(Reply::status(200)).await?,
        ]);
    }
    for [first, second] in &consumers {
        at_first.spawn(register_at(urls[0].clone(), first.id()));
        at_second.spawn(register_at(urls[1].clone(), second.id()));
    }
    let (first, second) = tokio::join!(at_first.join_all(), at_second.join_all());
    let mut taken = 0;
    for answer in first.into_iter().chain(second) {
        taken += usize::from(answer?.status == 200);
    }
    assert_eq!(taken, 5);
    assert_eq!(Bus::of(&redis).members().await?.len(), 5);
    Ok(())
}

async fn register_at(url: String, id: String) -> Result<Answer> {
    calls::post_to(&url, &json!({ "consumer_id": id })).await
}
