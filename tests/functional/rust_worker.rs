//! Workers in Rust of a crate outside the workspace, as their authors have them: that of README, and one with settings
//! in code.

use std::{
    fs,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use harness::{
    Bus, PATIENCE, PrivateRedis, Service, Signal,
    services::{
        binaries, group, id_of, redis, wait_for_account, wait_for_members, wait_until_joined,
    },
};
use local_stack::binaries::{cargo, standard_output, workspace};
use serde_json::Value;
use tokio::{process::Command, sync::OnceCell};

/// The directory of `consumer-kit`, as README has it.
const KIT: &str = "../consumer-group/crates/consumer-kit";

/// What the crate says of itself beside its dependencies. With this profile it uses what is compiled already.
const MANIFEST: &str = r#"
tokio = { version = "1", features = ["macros", "rt", "sync"] }

[package]
name = "outside"
edition = "2024"

[[bin]]
name = "outside-readme"
path = "readme.rs"

[[bin]]
name = "outside-in-code"
path = "in_code.rs"

[profile.dev]
debug = "line-tables-only"

[workspace]
"#;

/// The programs of the crate.
struct Workers {
    readme: PathBuf,
    in_code: PathBuf,
}

impl Workers {
    /// Those that are built once for all tests.
    async fn built() -> Result<&'static Self> {
        static BUILT: OnceCell<Workers> = OnceCell::const_new();
        BUILT.get_or_try_init(Self::build).await
    }

    async fn build() -> Result<Self> {
        let place = tempfile::tempdir()?;
        let file = |name: &str| place.path().join(name);
        let readme = fs::read_to_string(workspace().join("README.md"))?;
        let kit = workspace().join("crates/consumer-kit");
        let dependencies = block(&readme, "toml")?;
        ensure!(dependencies.contains(KIT), "{dependencies}");
        let dependencies = dependencies.replace(KIT, &kit.to_string_lossy());
        fs::write(file("Cargo.toml"), dependencies + MANIFEST)?;
        fs::write(file("readme.rs"), block(&readme, "rust")?)?;
        fs::write(file("in_code.rs"), include_str!("../outside_worker.rs"))?;
        // The versions that are here already.
        fs::copy(workspace().join("Cargo.lock"), file("Cargo.lock"))?;
        let programs = binaries().await?.publisher.parent();
        let programs = programs.context("no directory")?;
        let mut command = cargo();
        command.args(["build", "--quiet", "--offline", "--manifest-path"]);
        command.arg(file("Cargo.toml")).arg("--target-dir");
        command.arg(programs.parent().context("no target directory")?);
        standard_output(command, "cargo build of a crate outside").await?;
        Ok(Self {
            readme: programs.join("outside-readme"),
            in_code: programs.join("outside-in-code"),
        })
    }
}

/// The first block of README in this language.
fn block(readme: &str, language: &str) -> Result<String> {
    let (_, rest) = readme
        .split_once(&format!("```{language}\n"))
        .with_context(|| format!("README has no {language}"))?;
    let block = rest.split("```").next().unwrap_or_default();
    Ok(block.to_owned())
}

/// Starts the worker with settings in code; answers it and its id, once it has joined.
async fn in_code(
    program: &Path,
    redis: &PrivateRedis,
    group: &Service,
) -> Result<(Service, String)> {
    let mut command = Command::new(program);
    command.env("REDIS_PORT", redis.port_text());
    command.env("GROUP_PORT", group.port_text());
    let worker = Service::spawn_other(program, command)?;
    let line = worker.wait_for_log("id ", PATIENCE).await?;
    let id = line.strip_prefix("id ").context("no id")?.to_owned();
    wait_until_joined(group, &id).await?;
    Ok((worker, id))
}

#[tokio::test]
async fn the_rust_worker_of_the_readme_works_under_its_own_name() -> Result<()> {
    let workers = Workers::built().await?;
    let redis = redis().await?;
    let group = group(&redis, &[]).await?;
    let redis_port = redis.port_text();
    let args = [
        ["--restApiPort", "0"],
        ["--redisServerPort", &redis_port],
        ["--consumerGroupAppPort", group.port_text()],
    ];
    let mut worker = Service::start(&workers.readme, &args.concat(), &[]).await?;
    wait_until_joined(&group, &id_of(&worker)?).await?;
    let bus = Bus::of(&redis);
    bus.publish_id("order-1").await?;
    wait_for_account(&group, 1, 0).await?;
    assert_eq!(bus.processed().await?[0].text("shouted")?, "ORDER-1");
    let name = "outside-readme";
    let page = reqwest::get(worker.url("/metrics")).await?.text().await?;
    assert!(page.contains(&format!(r#"worker="{name}""#)), "{page}");
    let api: Value = reqwest::get(worker.url("/openapi.json"))
        .await?
        .json()
        .await?;
    assert_eq!(api["info"]["title"], name);
    assert_eq!(worker.terminate(PATIENCE).await?.code(), Some(0));
    let logged = worker.logs().join("\n");
    assert!(logged.contains(&format!("{name} starts")), "{logged}");
    assert!(!logged.contains("consumer-app starts"), "{logged}");
    Ok(())
}

#[tokio::test]
async fn a_worker_with_settings_in_code_ends_when_its_author_says_and_leaves_signals_alone()
-> Result<()> {
    let workers = Workers::built().await?;
    let redis = redis().await?;
    let group = group(&redis, &[]).await?;
    let bus = Bus::of(&redis);
    let (mut worker, id) = in_code(&workers.in_code, &redis, &group).await?;
    bus.publish_id("a").await?;
    assert_eq!(worker.wait_exit(PATIENCE).await?.code(), Some(0));
    wait_for_account(&group, 1, 0).await?;
    let processed = bus.processed().await?;
    assert_eq!(processed[0].text("settings")?, "in code");
    assert_eq!(processed[0].text("consumer_id")?, id);
    wait_for_members(&bus, &[]).await?;
    // It sets up no log.
    assert_eq!(worker.logs(), [format!("id {id}")]);
    let (mut other, _) = in_code(&workers.in_code, &redis, &group).await?;
    other.signal(Signal::SIGTERM)?;
    let status = other.wait_exit(PATIENCE).await?;
    assert_eq!(status.signal(), Some(15), "{status}");
    Ok(())
}
