//! Schemathesis: calls a REST API in every way its description allows, and in many that it forbids.

use std::{path::PathBuf, time::Duration};

use anyhow::Result;
use tokio::{process::Command, sync::OnceCell};

use crate::{
    Service,
    binaries::workspace,
    python::{Environment, output_of},
};

/// Its version, as pip reads it.
const REQUIREMENTS: &str = include_str!("../../../tests/schemathesis/requirements.txt");

/// What it cannot know of our formats.
const HOOKS: &str = "tests/schemathesis/hooks.py";

/// How many requests it makes up for each route, beside those for the limits of each value.
const EXAMPLES: &str = "25";

/// Answers that never end.
const ENDLESS: &str = "^/events$";

/// How long it may take with one service.
const RUN_DEADLINE: Duration = Duration::from_secs(180);

/// The program, installed below `target/`.
#[derive(Debug, Clone)]
pub struct Schemathesis {
    path: PathBuf,
}

impl Schemathesis {
    /// Finds it, or installs it with pip; once in a process.
    ///
    /// # Errors
    /// Why it cannot be had on this machine, such as for want of Python or of a network.
    pub async fn find_or_install() -> Result<Self, &'static str> {
        static FOUND: OnceCell<Result<Schemathesis, String>> = OnceCell::const_new();
        let found = FOUND.get_or_init(async || {
            let found = find_or_install().await;
            found.map_err(|error| format!("{error:#}").trim().replace('\n', " "))
        });
        found.await.as_ref().cloned().map_err(String::as_str)
    }

    /// Lets it loose on a service, with every check it knows.
    ///
    /// # Errors
    /// What it found; or that it cannot be run, or does not end in time.
    pub async fn run(&self, service: &Service) -> Result<()> {
        let mut command = Command::new(&self.path);
        command
            .args(["run", "--checks", "all", "--max-examples", EXAMPLES])
            .args(["--exclude-path-regex", ENDLESS, "--request-timeout", "20"])
            .args(["--continue-on-failure", "--no-color"])
            .args(["--generation-database", "none"])
            .arg(service.url("/openapi.json"))
            .env("SCHEMATHESIS_HOOKS", workspace().join(HOOKS))
            .env("NO_PROXY", "*")
            .current_dir(std::env::temp_dir());
        output_of(&mut command, "", RUN_DEADLINE).await?;
        Ok(())
    }
}

async fn find_or_install() -> Result<Schemathesis> {
    let installed = Environment::of("schemathesis", REQUIREMENTS, async |environment| {
        let requirements = "tests/schemathesis/requirements.txt";
        environment.install(&["--requirement", requirements]).await
    });
    let path = installed.await?.program("schemathesis");
    Ok(Schemathesis { path })
}
