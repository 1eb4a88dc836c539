//! `GET /ready`: who can work says so, and who cannot says why.

use std::path::Path;

use anyhow::Result;
use harness::{
    Bus, PATIENCE, PrivateRedis, Service, calls,
    services::{self, Ended, binaries, consumer_without_group, group, redis, run},
    wait_until,
};

/// Waits until the service is not ready, with a reason that contains this.
async fn wait_until_unready(service: &Service, reason: &str) -> Result<()> {
    wait_until(
        "the service to tell why it is not ready",
        PATIENCE,
        async || {
            let answer = calls::get(service, "/ready").await?;
            let is_told = answer.body["reasons"].to_string().contains(reason);
            Ok(answer.status == 503 && answer.body["ready"] == false && is_told)
        },
    )
    .await
}

async fn wait_until_ready(service: &Service) -> Result<()> {
    wait_until("the service to be ready", PATIENCE, async || {
        let answer = calls::get(service, "/ready").await?;
        let reasons = answer.body["reasons"].as_array().map(Vec::len);
        Ok(answer.status == 200 && answer.body["ready"] == true && reasons == Some(0))
    })
    .await
}

#[tokio::test]
async fn services_are_ready_with_redis_and_not_without() -> Result<()> {
    let mut redis = redis().await?;
    let group = group(&redis, &[]).await?;
    let consumer = services::consumer(&redis, &group, &[]).await?;
    let puller = consumer_without_group(&redis, 1, &["--intake", "pull"]).await?;
    let all = [&group, &consumer, &puller];
    for service in all {
        wait_until_ready(service).await?;
    }
    redis.freeze()?;
    for service in all {
        wait_until_unready(service, "does not answer within").await?;
    }
    redis.thaw()?;
    for service in all {
        wait_until_ready(service).await?;
    }
    redis.kill().await?;
    for service in all {
        wait_until_unready(service, "Redis").await?;
    }
    wait_until_unready(&group, "not subscribed").await?;
    assert_eq!(calls::get(&group, "/health").await?.status, 200, "it lives");
    redis.start_again().await?;
    for service in all {
        wait_until_ready(service).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_consumer_that_cannot_register_is_not_ready() -> Result<()> {
    let redis = redis().await?;
    let consumer = consumer_without_group(&redis, 1, &[]).await?;
    wait_until_unready(&consumer, "not registered with the group").await?;
    assert_eq!(calls::get(&consumer, "/health").await?.status, 200);
    Ok(())
}

/// What has Redis refuse work, what relents, and the reason `/ready` is to give.
type Refusal<'a> = (&'a [&'a str], &'a [&'a str], &'a str);

const EVERYBODY: [Refusal<'_>; 4] = [
    (
        &["REPLICAOF", "127.0.0.1", "1"],
        &["REPLICAOF", "NO", "ONE"],
        "READONLY",
    ),
    (
        &["CONFIG", "SET", "maxmemory", "1"],
        &["CONFIG", "SET", "maxmemory", "0"],
        "OOM",
    ),
    (
        &["CONFIG", "SET", "min-replicas-to-write", "1"],
        &["CONFIG", "SET", "min-replicas-to-write", "0"],
        "NOREPLICAS",
    ),
    (
        &["ACL", "SETUSER", "default", "-evalsha"],
        &["ACL", "SETUSER", "default", "+evalsha"],
        "NOPERM",
    ),
];

async fn expect_unready(
    redis: &PrivateRedis,
    all: &[&Service],
    refusal: Refusal<'_>,
) -> Result<()> {
    let (refuse, relent, reason) = refusal;
    let bus = Bus::of(redis);
    bus.command::<()>(refuse).await?;
    for service in all {
        wait_until_unready(service, reason).await?;
    }
    bus.command::<()>(relent).await?;
    for service in all {
        wait_until_ready(service).await?;
    }
    Ok(())
}

#[tokio::test]
async fn nobody_is_ready_while_redis_refuses_what_all_of_them_write() -> Result<()> {
    let redis = redis().await?;
    let group = group(&redis, &[]).await?;
    let consumer = services::consumer(&redis, &group, &[]).await?;
    let puller = consumer_without_group(&redis, 1, &["--intake", "pull"]).await?;
    let all = [&group, &consumer, &puller];
    for service in all {
        wait_until_ready(service).await?;
    }
    for refusal in EVERYBODY {
        expect_unready(&redis, &all, refusal).await?;
    }
    Ok(())
}

#[tokio::test]
async fn who_needs_a_key_that_is_of_another_type_or_denied_is_not_ready() -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    let puller = consumer_without_group(&redis, 1, &["--intake", "pull"]).await?;
    for key in [
        "{messages:processed}:failed",
        "{messages:processed}:queue",
        "{messages:processed}:ids",
        "consumer:ids",
    ] {
        let refusal: Refusal<'_> = (&["SET", key, "x"], &["DEL", key], "WRONGTYPE");
        expect_unready(&redis, &[&group], refusal).await?;
    }
    let recorded: Refusal<'_> = (
        &["SET", "messages:processed", "x"],
        &["DEL", "messages:processed"],
        "WRONGTYPE messages:processed is a string, not a stream",
    );
    expect_unready(&redis, &[&puller], recorded).await?;
    let denied: Refusal<'_> = (
        &["ACL", "SETUSER", "default", "-xadd"],
        &["ACL", "SETUSER", "default", "+xadd"],
        "NOPERM this user may not XADD",
    );
    expect_unready(&redis, &[&group, &puller], denied).await?;
    assert_eq!(
        bus.command::<Vec<String>>(&["KEYS", "messages:*"]).await?,
        [""; 0]
    );
    Ok(())
}

#[tokio::test]
async fn readiness_costs_redis_no_more_however_often_it_is_asked() -> Result<()> {
    let redis = redis().await?;
    let group = group(&redis, &[]).await?;
    wait_until_ready(&group).await?;
    let bus = Bus::of(&redis);
    bus.command::<()>(&["CONFIG", "RESETSTAT"]).await?;
    let begun = std::time::Instant::now();
    for _ in 0..200 {
        assert_eq!(calls::get(&group, "/ready").await?.status, 200);
    }
    let seconds = begun.elapsed().as_secs();
    let stats: String = bus.command(&["INFO", "commandstats"]).await?;
    let line = stats
        .lines()
        .find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
    let calls = line.and_then(|line| line.split(',').next()).unwrap_or("0");
    assert!(
        calls.parse::<u64>()? <= seconds + 2,
        "{calls} in {seconds} s"
    );
    Ok(())
}

/// How `--checkHealth` ends with these settings.
async fn check_health(program: &Path, args: &[&str], env: &[(&str, &str)]) -> Result<Ended> {
    run(program, &[&["--checkHealth"], args].concat(), env).await
}

#[tokio::test]
async fn a_program_checks_the_health_of_the_service_with_its_settings() -> Result<()> {
    let binaries = binaries().await?;
    let redis = redis().await?;
    let mut group = group(&redis, &[]).await?;
    let consumer = services::consumer(&redis, &group, &[]).await?;
    for (service, program, variable) in [
        (
            &group,
            &binaries.group,
            "CONSUMER_GROUP_APP__REST_API__PORT",
        ),
        (
            &consumer,
            &binaries.consumer,
            "CONSUMER_APP__REST_API__PORT",
        ),
    ] {
        let env = [(variable, service.port_text())];
        for host in ["127.0.0.1", "0.0.0.0", "localhost"] {
            let ended = check_health(program, &["--restApiHost", host], &env).await?;
            assert_eq!((ended.code, ended.output.as_str()), (Some(0), ""), "{host}");
        }
    }
    group.kill().await?;
    let port = group.port_text().to_owned();
    let ended = check_health(&binaries.group, &["--restApiPort", &port], &[]).await?;
    assert_eq!(ended.code, Some(1), "{}", ended.output);
    assert!(ended.output.contains(&port), "{}", ended.output);
    Ok(())
}
