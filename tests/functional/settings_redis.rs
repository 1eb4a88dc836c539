//! The ways to say where Redis is, and starting before it is there.

use anyhow::{Context, Result};
use harness::{
    Bus, PATIENCE, PrivateRedis, Service,
    services::{
        binaries, consumer_without_group, fixed_port, group_at, id_of, redis, wait_until_joined,
        wait_until_subscribed,
    },
};

/// A group and a consumer that are told nothing but a URL.
async fn services_at(url: &str) -> Result<(Service, Service)> {
    let binaries = binaries().await?;
    let log = ["--logLevel", "trace"];
    let args = ["--restApiPort", "0", "--redisUrl", url];
    let group = Service::start(
        &binaries.group,
        &[args, ["--maxAttempts", "3", log[0], log[1]]].concat(),
        &[],
    )
    .await?;
    let args = [
        "--restApiPort",
        "0",
        "--consumerGroupAppPort",
        group.port_text(),
    ];
    let env = [("CONSUMER_APP__REDIS__URL", url)];
    let consumer = Service::start(&binaries.consumer, &[&args[..], &log].concat(), &env).await?;
    wait_until_subscribed(&group).await?;
    wait_until_joined(&group, &id_of(&consumer)?).await?;
    Ok((group, consumer))
}

#[tokio::test]
async fn a_url_with_a_password_works_and_the_password_is_never_logged() -> Result<()> {
    let mut redis = redis().await?;
    let plain = Bus::of(&redis);
    plain
        .command::<()>(&["CONFIG", "SET", "requirepass", "s3cret"])
        .await?;
    let url = format!("redis://:s3cret@127.0.0.1:{}", redis.port());
    let (group, consumer) = services_at(&url).await?;
    let bus = Bus::at(&url);
    bus.publish_id("m").await?;
    bus.wait_for_processed(1).await?;

    // Errors must not give it away either: a changed password, then no Redis at all.
    bus.command::<()>(&["CONFIG", "SET", "requirepass", "other"])
        .await?;
    let other = Bus::at(&format!("redis://:other@127.0.0.1:{}", redis.port()));
    for kind in ["pubsub", "normal"] {
        other
            .command::<()>(&["CLIENT", "KILL", "TYPE", kind])
            .await?;
    }
    group
        .wait_for_log("cannot listen to Redis", PATIENCE)
        .await?;
    redis.kill().await?;
    group.wait_for_log("cannot read the list", PATIENCE).await?;
    for service in [&group, &consumer] {
        let lines = service.logs();
        let telling = lines.iter().find(|line| line.contains("s3cret"));
        assert_eq!(telling, None);
    }
    Ok(())
}

#[tokio::test]
async fn a_unix_socket_works() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let socket = directory.path().join("redis.sock");
    let socket = socket.to_str().context("a path of text")?;
    let redis = PrivateRedis::start(&["--unixsocket", socket]).await?;
    let (_group, _consumer) = services_at(&format!("unix:{socket}")).await?;
    let bus = Bus::of(&redis);
    bus.publish_id("m").await?;
    bus.wait_for_processed(1).await?;
    Ok(())
}

#[tokio::test]
async fn a_database_in_the_url_is_used() -> Result<()> {
    let redis = redis().await?;
    let url = format!("redis://127.0.0.1:{}/3", redis.port());
    let (_group, _consumer) = services_at(&url).await?;
    // A channel is the same in every database; list and stream are not.
    Bus::of(&redis).publish_id("m").await?;
    Bus::at(&url).wait_for_processed(1).await?;
    assert!(Bus::of(&redis).members().await?.is_empty());
    assert_eq!(Bus::at(&url).members().await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn without_redis_both_say_what_to_do_and_work_once_it_is_there() -> Result<()> {
    let (mut redis, port) = (redis().await?, fixed_port()?);
    redis.kill().await?;
    let group = group_at(port, &redis, &[]).await?;
    let consumer = consumer_without_group(&redis, port, &[]).await?;
    for service in [&group, &consumer] {
        let line = service.wait_for_log("redis-server", PATIENCE).await?;
        for word in ["--redisServerHost", "--redisServerPort", "--redisUrl"] {
            assert!(line.contains(word), "{line}");
        }
    }
    redis.start_again().await?;
    wait_until_subscribed(&group).await?;
    wait_until_joined(&group, &id_of(&consumer)?).await?;
    let bus = Bus::of(&redis);
    bus.publish_id("m").await?;
    bus.wait_for_processed(1).await?;
    Ok(())
}

#[tokio::test]
async fn logs_for_people_are_the_default() -> Result<()> {
    let port = fixed_port()?.to_string();
    let args = ["--restApiPort", "0", "--redisServerPort", &port];
    // Not by the harness's way, which asks for JSON.
    let mut process = tokio::process::Command::new(&binaries().await?.group)
        .args(args)
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let output = process.stdout.take().context("no output")?;
    let mut lines = tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(output));
    let listening = async {
        while let Some(line) = lines.next_line().await? {
            if line.contains("listening") {
                return Ok(line);
            }
        }
        anyhow::bail!("it never listened")
    };
    let line = tokio::time::timeout(PATIENCE, listening).await??;
    assert!(!line.contains('{') && line.contains("INFO"), "{line}");
    Ok(())
}
