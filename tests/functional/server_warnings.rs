//! At start the group warns of settings of its Redis that endanger messages.

use anyhow::Result;
use harness::{
    Bus, FakeConsumer, PATIENCE, PrivateRedis, Reply, Service,
    services::{group, wait_until_subscribed},
    status::wait_for_status,
};
use serde_json::json;

const EVICTION: &str = "maxmemory-policy is";
const SUBSCRIBERS: &str = "client-output-buffer-limit for pubsub";
const PERSISTENCE: &str = "persistence is off";

/// Settings of a Redis that endangers nothing.
const SAFE: [&str; 6] = [
    "--maxmemory-policy",
    "noeviction",
    "--client-output-buffer-limit",
    "pubsub 256mb 64mb 60",
    "--appendonly",
    "yes",
];

/// Which of the warnings a group gives, with these settings of Redis.
async fn warnings(redis_args: &[&str]) -> Result<Vec<&'static str>> {
    let redis = PrivateRedis::start(redis_args).await?;
    let group = group(&redis, &[]).await?;
    given_by(&group).await
}

/// Which of the warnings a group has given once it has logged its throughput, long after its check.
async fn given_by(group: &Service) -> Result<Vec<&'static str>> {
    group.wait_for_log("throughput", PATIENCE).await?;
    let log = group.logs();
    let is_given = |text: &&str| {
        let lines = log.iter().filter(|line| line.contains(*text));
        let levels: Vec<_> = lines
            .map(|line| line.contains(r#""level":"WARN""#))
            .collect();
        assert!(levels.len() <= 1, "{log:?}");
        levels == [true]
    };
    let all = [EVICTION, SUBSCRIBERS, PERSISTENCE];
    Ok(all.into_iter().filter(is_given).collect())
}

#[tokio::test]
async fn the_defaults_of_redis_have_their_dangers() -> Result<()> {
    // A private Redis keeps nothing on disk.
    assert_eq!(warnings(&[]).await?, [SUBSCRIBERS, PERSISTENCE]);
    Ok(())
}

#[tokio::test]
async fn a_redis_that_endangers_nothing_is_not_warned_of() -> Result<()> {
    assert_eq!(warnings(&SAFE).await?, Vec::<&str>::new());
    Ok(())
}

#[tokio::test]
async fn eviction_and_snapshots_are_noticed() -> Result<()> {
    let evicting = [&SAFE[..], &["--maxmemory-policy", "allkeys-lru"]].concat();
    // Snapshots are persistence, too.
    let saving = ["--save", "3600 1", "--maxmemory-policy", "volatile-ttl"];
    let (evicts, saves) = tokio::try_join!(warnings(&evicting), warnings(&saving))?;
    assert_eq!(evicts, [EVICTION]);
    assert_eq!(saves, [EVICTION, SUBSCRIBERS]);
    Ok(())
}

/// A group that logs in as a user who may do everything but these commands works all the same.
async fn expect_it_works_without(commands: &[&str]) -> Result<Vec<&'static str>> {
    let redis = PrivateRedis::start(&[]).await?;
    let bus = Bus::of(&redis);
    let rules = [
        &[
            "ACL", "SETUSER", "limited", "on", ">secret", "~*", "&*", "+@all",
        ][..],
        commands,
    ];
    bus.command::<()>(&rules.concat()).await?;
    let url = format!("redis://limited:secret@127.0.0.1:{}", redis.port());
    let group = group(&redis, &["--redisUrl", &url]).await?;
    wait_until_subscribed(&group).await?;
    let _consumer = FakeConsumer::join(&group, Reply::status(200)).await?;
    bus.publish_id("m").await?;
    wait_for_status(&group, &json!({ "processed": 1, "queued": 0 })).await?;
    let given = given_by(&group).await?;
    let log = group.logs().join("\n");
    assert!(!log.contains("panicked"), "{log}");
    assert!(!log.contains("secret"), "{log}");
    Ok(given)
}

#[tokio::test]
async fn a_redis_that_does_not_tell_its_settings_is_used_all_the_same() -> Result<()> {
    let (config, info) = tokio::try_join!(
        expect_it_works_without(&["-config"]),
        expect_it_works_without(&["-config", "-info"]),
    )?;
    assert_eq!((config, info), (Vec::new(), Vec::new()));
    Ok(())
}
