//! The list `consumer:ids`: more of it than there may be, and several spellings of one consumer.

use anyhow::{Context, Result};
use harness::{
    Bus, FakeConsumer, PATIENCE, Reply, Service,
    calls::{check_membership, ok, register, unregister},
    services::{self, group, log_of, redis, wait_for_members, wait_until_joined},
    status::status,
    wait_until,
};

async fn states(group: &Service) -> Result<Vec<String>> {
    let status = status(group).await?;
    let consumers = status["consumers"].as_array().context("no consumers")?;
    let state = |one: &serde_json::Value| Ok(one["state"].as_str().context("no state")?.to_owned());
    consumers.iter().map(state).collect()
}

async fn publish(bus: &Bus, count: usize) -> Result<()> {
    let ids: Vec<_> = (0..count).map(|number| format!("m{number}")).collect();
    bus.publish_ids(&ids).await.map(drop)
}

#[tokio::test]
async fn of_a_longer_list_the_first_ones_are_the_group() -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (
        group(&redis, &["--maxConsumerGroupSize", "2"]).await?,
        Bus::of(&redis),
    );
    let mut consumers = Vec::new();
    for _ in 0..4 {
        consumers.push(FakeConsumer::start(Reply::status(200)).await?);
    }
    let ids: Vec<_> = consumers.iter().map(FakeConsumer::id).collect();
    let mut push = vec!["RPUSH", "consumer:ids"];
    push.extend(ids.iter().map(String::as_str));
    bus.command::<u64>(&push).await?;
    wait_until_joined(&group, &ids[0]).await?;
    wait_until_joined(&group, &ids[1]).await?;
    publish(&bus, 100).await?;
    wait_until("all to be delivered", PATIENCE, async || {
        Ok(consumers[0].received()?.len() + consumers[1].received()?.len() == 100)
    })
    .await?;
    assert_eq!(states(&group).await?.len(), 2);
    assert!(consumers[2].received()?.is_empty() && consumers[3].received()?.is_empty());

    unregister(&group, &ids[0]).await?;
    wait_until_joined(&group, &ids[2]).await
}

#[tokio::test]
async fn two_spellings_are_one_member_and_each_is_found_and_removed() -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    let consumer = FakeConsumer::start(Reply::status(200)).await?;
    let spelled = |host: &str| consumer.id().replace("127.0.0.1", host);
    let (upper, lower) = (spelled("LOCALHOST"), spelled("localhost"));
    let (mapped, plain) = (spelled("[::FFFF:127.0.0.1]"), consumer.id());
    for (stands, asked) in [(&upper, &lower), (&mapped, &plain)] {
        let answer = register(&group, stands).await?;
        assert_eq!(
            answer,
            ok(&format!("Consumer with id {stands} is registered."))
        );
        assert_eq!(register(&group, asked).await?.status, 200);
        assert_eq!(bus.members().await?, [stands.as_str()], "as it was spelled");
        assert_eq!(check_membership(&group, stands).await?.status, 200);
        assert_eq!(check_membership(&group, asked).await?.status, 200);
        // Somebody else writes the list, too.
        bus.command::<u64>(&["RPUSH", "consumer:ids", asked])
            .await?;
        wait_until("one to be active", PATIENCE, async || {
            Ok(states(&group).await? == ["active"])
        })
        .await?;
        assert_eq!(unregister(&group, asked).await?.status, 200);
        assert!(bus.members().await?.is_empty());
        wait_until("it to have left", PATIENCE, async || {
            Ok(states(&group).await?.is_empty())
        })
        .await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_dot_at_the_end_of_a_name_is_fine_and_an_ipv6_address_needs_brackets() -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    for id in ["Worker.example.:5001", "[2001:DB8::1]:5001"] {
        assert_eq!(register(&group, id).await?.status, 200, "{id}");
        assert_eq!(check_membership(&group, id).await?.status, 200, "{id}");
    }
    assert_eq!(bus.members().await?.len(), 2);
    let answer = register(&group, "::1:5001").await?;
    assert_eq!(answer.status, 400);
    assert!(answer.error()?.contains("brackets"), "{answer:?}");
    Ok(())
}

#[tokio::test]
async fn many_entries_that_are_no_ids_are_removed_in_few_calls() -> Result<()> {
    let redis = redis().await?;
    let bus = Bus::of(&redis);
    let garbage: Vec<_> = (0..20_000)
        .map(|number| format!("no id {number}"))
        .collect();
    for piece in garbage.chunks(5000) {
        let mut push = vec!["RPUSH", "consumer:ids"];
        push.extend(piece.iter().map(String::as_str));
        bus.command::<u64>(&push).await?;
    }
    let group = group(&redis, &[]).await?;
    wait_for_members(&bus, &[]).await?;
    let statistics: String = bus.command(&["INFO", "commandstats"]).await?;
    let of_removal = |line: &&str| line.contains("lrem:") || line.contains("eval");
    for line in statistics.lines().filter(of_removal) {
        let calls = line.split(['=', ',']).nth(1).context("no calls")?;
        assert!(calls.parse::<u64>()? < 100, "{line}");
    }
    let consumer = FakeConsumer::join(&group, Reply::status(200)).await?;
    assert_eq!(bus.members().await?, [consumer.id()]);
    Ok(())
}

#[tokio::test]
async fn a_flood_of_dead_ids_is_a_few_lines_in_the_log() -> Result<()> {
    let redis = redis().await?;
    let size = [
        "--maxConsumerGroupSize",
        "1000",
        "--healthCheckIntervalSeconds",
        "1",
    ];
    let (group, bus) = (group(&redis, &size).await?, Bus::of(&redis));
    let port = services::fixed_port()?;
    let dead: Vec<_> = (1..=1000)
        .map(|number| format!("127.0.{}.{}:{port}", number / 250, number % 250 + 1))
        .collect();
    let mut push = vec!["RPUSH", "consumer:ids"];
    push.extend(dead.iter().map(String::as_str));
    bus.command::<u64>(&push).await?;
    wait_for_members(&bus, &[]).await?;
    let about_consumers = |line: &serde_json::Value| line["consumer.id"].is_string();
    let lines = log_of(&group)
        .iter()
        .filter(|line| about_consumers(line))
        .count();
    assert!(lines < 400, "{lines} lines");
    Ok(())
}
