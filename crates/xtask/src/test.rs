//! `cargo xtask test`: all tests of the workspace, with a Redis to test against.

use std::{env, fmt::Display, process::ExitCode, thread::available_parallelism};

use anyhow::{Context, Result};
use local_stack::{
    Binaries, BrowserPrograms, KubernetesTools, Language, PrivateNetwork, Profile,
    PrometheusPrograms, RedisServer, Schemathesis,
    binaries::{cargo, workspace},
};
use tokio::process::Command;

use crate::output::step;

/// How many tests run at once, unless it is set; `cargo test` passes it on.
const TEST_THREADS: &str = "RUST_TEST_THREADS";

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Further arguments of `cargo test --workspace`, such as a test's name, or `-- --nocapture`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    cargo_test: Vec<String>,
}

/// Runs them; the exit code is that of `cargo test`.
pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode> {
    step(
        "All tests take five to ten minutes; the tools they need are installed first where they are missing",
    );
    let server = RedisServer::find_or_install()?;
    step(&format!(
        "Redis to test against: {}",
        server.path().display()
    ));
    let networks = PrivateNetwork::why_not_even_installed();
    match networks.unwrap_or(Some("its tools cannot be installed")) {
        None => step("Networks are cut in namespaces of their own"),
        Some(why) => step(&format!("Networks are cut by a proxy, because {why}")),
    }
    let skipped = look_for_tools().await;
    step("Building the services");
    Binaries::build(Profile::Dev).await?;
    let further = arguments.cargo_test.join(" ");
    step(&format!("cargo test --workspace {further}"));
    let status = Command::from(cargo())
        .args(["test", "--workspace"])
        .args(&arguments.cargo_test)
        .env(TEST_THREADS, test_threads())
        .current_dir(workspace())
        .kill_on_drop(true)
        .status()
        .await
        .context("cannot run cargo")?;
    skipped.iter().for_each(|line| step(line));
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// What is set, or two for each core: functional tests wait more than they work.
fn test_threads() -> String {
    env::var(TEST_THREADS).unwrap_or_else(|_| {
        let cores = available_parallelism().map_or(1, usize::from);
        (2 * cores).to_string()
    })
}

/// Looks for what some tests need, and installs it where it is missing. Answers what is skipped because it cannot be had.
async fn look_for_tools() -> Vec<String> {
    let browser = BrowserPrograms::find_or_install();
    let mut skipped = vec![tell("The dashboard in a browser", &browser)];
    for language in Language::ALL {
        let found = language.find_or_install();
        skipped.push(tell(&format!("Examples in {language}"), &found));
    }
    let prometheus = PrometheusPrograms::find_or_install();
    skipped.push(tell("The metrics by Prometheus", &prometheus));
    let schemathesis = Schemathesis::find_or_install().await;
    skipped.push(tell("The REST APIs by schemathesis", &schemathesis));
    let kubernetes = KubernetesTools::find_or_install().await.map(|_| "found");
    skipped.push(tell(
        "Manifests for Kubernetes by helm and kubectl",
        &kubernetes,
    ));
    skipped.into_iter().flatten().collect()
}

/// Says whether something is tested; answers the line if it is not.
fn tell<T, E: Display>(what: &str, found: &Result<T, E>) -> Option<String> {
    let line = match found {
        Ok(_) => format!("{what}: tested"),
        Err(why) => format!("{what}: SKIPPED, because {why:#}"),
    };
    step(&line);
    found.is_err().then_some(line)
}
