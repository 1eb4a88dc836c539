//! A Redis that can never do is refused at start; one that is not there yet is waited for.

use anyhow::{Result, ensure};
use harness::{
    Bus, OldRedis, PATIENCE, PrivateRedis, Service, calls,
    services::{Ended, binaries, redis, run, wait_until_subscribed},
    wait_until,
};
use tokio::{process::Command, time::timeout};

/// How all programs that need the whole of Redis end, with these arguments.
async fn ends(args: &[&str]) -> Result<Vec<Ended>> {
    let programs = binaries().await?;
    let group = [&["--restApiPort", "0"], args].concat();
    let pulling = [&["--restApiPort", "0", "--intake", "pull"], args].concat();
    let replay = [&["replay", "--all"], args].concat();
    let (group, consumer, puller, replay) = tokio::try_join!(
        run(&programs.group, &group, &[]),
        run(&programs.consumer, &group, &[]),
        run(&programs.consumer, &pulling, &[]),
        dead_letters(&replay),
    )?;
    Ok(vec![group, consumer, puller, replay])
}

/// Runs `publisher deadLetters` to its end.
async fn dead_letters(args: &[&str]) -> Result<Ended> {
    let mut command = Command::new(&binaries().await?.publisher);
    let output = command
        .arg("deadLetters")
        .args(args)
        .kill_on_drop(true)
        .output();
    let output = timeout(PATIENCE, output).await??;
    let said = [output.stdout, output.stderr].concat();
    Ok(Ended {
        code: output.status.code(),
        output: String::from_utf8_lossy(&said).into_owned(),
    })
}

#[tokio::test]
async fn an_old_redis_is_refused_with_the_version_found_and_the_one_needed() -> Result<()> {
    let old = OldRedis::start("6.2.14").await?;
    for ended in ends(&["--redisServerPort", &old.port().to_string()]).await? {
        ensure!(ended.code == Some(1), "{ended:?}");
        ensure!(ended.output.contains("is version 6.2.14"), "{ended:?}");
        ensure!(ended.output.contains("7.0 or later is needed"), "{ended:?}");
    }
    Ok(())
}

async fn user(redis: &PrivateRedis, rules: &[&str]) -> Result<String> {
    let all = [
        "ACL", "SETUSER", "limited", "on", ">secret", "~*", "&*", "+@all",
    ];
    let words = [&all[..], rules].concat();
    Bus::of(redis).command::<()>(&words).await?;
    Ok(format!("redis://limited:secret@127.0.0.1:{}", redis.port()))
}

#[tokio::test]
async fn a_redis_that_denies_scripts_is_refused_also_when_it_does_not_tell_its_version()
-> Result<()> {
    let redis = redis().await?;
    for rules in [&["-evalsha"][..], &["-@scripting", "-info"]] {
        let url = user(&redis, rules).await?;
        for ended in ends(&["--redisUrl", &url]).await? {
            ensure!(ended.code == Some(1), "{ended:?}");
            ensure!(ended.output.contains("does not run scripts"), "{ended:?}");
            ensure!(!ended.output.contains("secret"), "{ended:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_redis_that_is_not_there_yet_is_waited_for() -> Result<()> {
    let mut redis = redis().await?;
    redis.kill().await?;
    let port = redis.port_text();
    let args = ["--restApiPort", "0", "--redisServerPort", &port];
    let programs = binaries().await?;
    let group = Service::start(&programs.group, &args, &[]).await?;
    let puller = [&args[..], &["--intake", "pull"]].concat();
    let puller = Service::start(&programs.consumer, &puller, &[]).await?;
    group
        .wait_for_log("cannot listen to Redis", PATIENCE)
        .await?;
    redis.start_again().await?;
    wait_until_subscribed(&group).await?;
    wait_until("both to be ready", PATIENCE, async || {
        let group = calls::get(&group, "/ready").await?.status;
        Ok(group == 200 && calls::get(&puller, "/ready").await?.status == 200)
    })
    .await
}
