//! What `docs/operations.md` and `packaging/` say: Redis users that suffice, units that start.

use std::{collections::BTreeSet, fs, process::Command};

use anyhow::{Context, Result, ensure};
use harness::{
    Bus, PATIENCE, PrivateRedis, Service, calls,
    services::{
        binaries, id_of, redis, wait_for_members, wait_until_joined, wait_until_subscribed,
    },
    status::wait_for_status,
};
use local_stack::binaries::workspace;
use serde_json::json;

/// Makes the users of `docs/operations.md`, with these very passwords.
async fn make_users(bus: &Bus) -> Result<()> {
    let text = fs::read_to_string(workspace().join("docs/operations.md"))?;
    let users = text.lines().filter(|line| line.starts_with("ACL SETUSER "));
    let mut count = 0;
    for user in users {
        let words: Vec<_> = user.split(' ').collect();
        bus.command::<()>(&words).await?;
        count += 1;
    }
    ensure!(count == 3, "{count} users");
    bus.command::<()>(&["ACL", "LOG", "RESET"]).await
}

async fn start(redis: &PrivateRedis, is_group: bool, args: &[&str]) -> Result<Service> {
    let (name, program) = match is_group {
        true => ("group:GROUP", &binaries().await?.group),
        false => ("consumer:CONSUMER", &binaries().await?.consumer),
    };
    let url = format!("redis://{name}-PASSWORD@127.0.0.1:{}", redis.port());
    let own = ["--redisUrl", &url, "--restApiPort", "0"];
    Service::start(program, &[&own, args].concat(), &[]).await
}

#[tokio::test]
async fn the_users_of_the_manual_suffice() -> Result<()> {
    let redis = redis().await?;
    let bus = Bus::of(&redis);
    make_users(&bus).await?;
    let group = start(&redis, true, &["--dashboardReplay", "true"]).await?;
    wait_until_subscribed(&group).await?;
    let to_group = ["--consumerGroupAppPort", group.port_text()];
    let mut consumer = start(&redis, false, &to_group).await?;
    wait_until_joined(&group, &id_of(&consumer)?).await?;
    let pulling = start(&redis, false, &["--intake", "pull"]).await?;
    let publisher = format!(
        "redis://publisher:PUBLISHER-PASSWORD@127.0.0.1:{}",
        redis.port()
    );
    let ids: Vec<_> = (0..200).map(|number| number.to_string()).collect();
    Bus::at(&publisher).publish_ids(&ids).await?;
    Bus::at(&publisher).publish("no message").await?;
    wait_for_status(&group, &json!({ "processed": 200, "dead_lettered": 1 })).await?;
    for path in ["/ready", "/deadLetters"] {
        assert_eq!(calls::get(&group, path).await?.status, 200, "{path}");
    }
    let replayed = calls::post(&group, "/deadLetters/replay", &json!({ "all": true })).await?;
    assert_eq!(replayed.status, 200, "{replayed:?}");
    consumer.terminate(PATIENCE).await?;
    wait_for_members(&bus, &[]).await?;
    drop(pulling);
    let refused: Vec<String> = denied(&bus).await?;
    assert_eq!(refused, Vec::<String>::new());
    Ok(())
}

/// What Redis refused anybody, but what clients say of themselves, which Redis 7.0 does not know.
async fn denied(bus: &Bus) -> Result<Vec<String>> {
    use local_stack::redis::Value;
    let log: Vec<Vec<Value>> = bus.command(&["ACL", "LOG"]).await?;
    let shown = log.iter().map(|entry| format!("{entry:?}"));
    Ok(shown.filter(|entry| !entry.contains("setinfo")).collect())
}

#[tokio::test]
async fn the_units_start_what_there_is_and_outlast_the_grace_period() -> Result<()> {
    let binaries = binaries().await?;
    for (unit, program) in [
        ("consumer-group-app.service", &binaries.group),
        ("consumer-app@.service", &binaries.consumer),
    ] {
        let text = fs::read_to_string(workspace().join("packaging/systemd").join(unit))?;
        let value = |key: &str| {
            let start = format!("{key}=");
            let found = text.lines().find_map(|line| line.strip_prefix(&start));
            found
                .map(str::to_owned)
                .with_context(|| format!("no {key} in {unit}"))
        };
        let line = value("ExecStart")?;
        let name = program.file_name().context("a name")?.to_string_lossy();
        assert!(
            line.starts_with(&format!("/usr/local/bin/{name} ")),
            "{line}"
        );
        let help = Command::new(program).arg("--help").output()?;
        let help = String::from_utf8(help.stdout)?;
        let known: BTreeSet<_> = help.split_whitespace().collect();
        for flag in line.split(' ').filter(|word| word.starts_with("--")) {
            assert!(known.contains(flag), "{name} knows no {flag}");
        }
        let (_, grace) = line
            .split_once("--shutdownGraceSeconds ")
            .context("no grace period")?;
        assert!(value("TimeoutStopSec")?.parse::<u32>()? > grace.parse()?);
    }
    Ok(())
}
