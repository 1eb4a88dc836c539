//! What `docs/operations.md` and `packaging/` say: Redis users that suffice, units that start.

use std::{
    collections::BTreeSet,
    fs,
    io::{Write, stderr},
    path::Path,
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};
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

/// The units, each with the program it starts.
async fn units() -> Result<[(&'static str, &'static Path); 2]> {
    let binaries = binaries().await?;
    Ok([
        ("consumer-group-app.service", &binaries.group),
        ("consumer-app@.service", &binaries.consumer),
    ])
}

fn unit(name: &str) -> Result<String> {
    let path = workspace().join("packaging/systemd").join(name);
    Ok(fs::read_to_string(path)?.replace("%i", "5001"))
}

#[tokio::test]
async fn the_units_start_what_there_is_and_outlast_the_grace_period() -> Result<()> {
    for (name, program) in units().await? {
        let text = unit(name)?;
        let values = |key: &str| {
            let start = format!("{key}=");
            let lines = text.lines();
            let found = lines.filter_map(move |line| line.strip_prefix(&start));
            found.map(str::to_owned).collect::<Vec<_>>()
        };
        let file = program.file_name().context("a name")?.to_string_lossy();
        // No flag: it would beat what the environment file says.
        assert_eq!(values("ExecStart"), [format!("/usr/local/bin/{file}")]);
        assert!(values("EnvironmentFile").contains(&format!("-/etc/consumer-group/{file}.env")));
        let mut check = Command::new(program);
        check.arg("--checkConfig").current_dir(std::env::temp_dir());
        for variable in values("Environment") {
            let (name, value) = variable.split_once('=').context("no value")?;
            check.env(name, value);
        }
        let output = check.output()?;
        ensure!(output.status.success(), "{name}: {output:?}");
        let told = String::from_utf8(output.stdout)?;
        let mut lines = told.lines().map(|line| line.split_whitespace());
        let grace = lines.find_map(|mut words| {
            (words.next()? == "service.shutdown_grace_seconds").then(|| words.next())?
        });
        let grace: u32 = grace.context("no grace period")?.parse()?;
        let [limit] = &values("TimeoutStopSec")[..] else {
            bail!("{name} has not one TimeoutStopSec");
        };
        assert!(limit.parse::<u32>()? > grace);
    }
    Ok(())
}

#[tokio::test]
async fn systemd_finds_no_fault_with_the_units() -> Result<()> {
    for (name, program) in units().await? {
        let folder = tempfile::tempdir()?;
        // Programs are where they are on this machine, so that it sees that they can be run.
        let start = format!("ExecStart={}", program.display());
        let text = unit(name)?;
        let lines = text.lines().map(|line| match line.split_once('=') {
            Some(("ExecStart", _)) => start.as_str(),
            _ => line,
        });
        let path = folder.path().join(name.replace('@', ""));
        fs::write(&path, lines.collect::<Vec<_>>().join("\n"))?;
        let mut verify = Command::new("systemd-analyze");
        let verify = verify.args(["verify", "--man=no"]).arg(&path);
        match verify.output() {
            Ok(output) => {
                let said = String::from_utf8([output.stdout, output.stderr].concat())?;
                assert!(output.status.success() && said.is_empty(), "{name}: {said}");
            }
            // Past the capture of the test's output: who reads it must see what was not tested.
            Err(why) => writeln!(stderr(), "SKIPPED: no systemd-analyze: {why}")?,
        }
    }
    Ok(())
}

#[test]
fn the_example_of_choices_has_each_that_compose_leaves_open_with_its_default() -> Result<()> {
    let compose = fs::read_to_string(workspace().join("docker-compose.yml"))?;
    let left_open = compose.split("${").skip(1).filter_map(|rest| {
        let (name, rest) = rest.split_once(":-")?;
        Some(format!("{name}={}", rest.split_once('}')?.0))
    });
    let example = fs::read_to_string(workspace().join(".env.example"))?;
    let choices = example.lines().filter(|line| line.contains('='));
    let choices = choices.filter(|line| !line.starts_with('#'));
    let choices: BTreeSet<_> = choices.map(str::to_owned).collect();
    assert_eq!(left_open.collect::<BTreeSet<_>>(), choices);
    Ok(())
}
