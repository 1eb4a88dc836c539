//! Schemathesis: calls a REST API in every way its description allows, and in many that it forbids.

use std::{fs, path::PathBuf, process::Stdio, time::Duration};

use anyhow::{Context, Result, bail};
use tokio::{process::Command, sync::OnceCell, time::timeout};

use crate::{Service, binaries::workspace};

/// Its version, as pip reads it.
const REQUIREMENTS: &str = include_str!("../../../tests/schemathesis/requirements.txt");

/// What it cannot know of our formats.
const HOOKS: &str = "tests/schemathesis/hooks.py";

/// How many requests it makes up for each route, beside those for the limits of each value.
const EXAMPLES: &str = "25";

/// Answers that never end.
const ENDLESS: &str = "^/events$";

/// How long its installation may take.
const INSTALL_DEADLINE: Duration = Duration::from_secs(240);

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
        said(&mut command, RUN_DEADLINE).await
    }
}

async fn find_or_install() -> Result<Schemathesis> {
    let home = workspace().join("target/schemathesis");
    let bin = home.join("bin");
    let path = bin.join("schemathesis");
    // Written last, so that an installation that was cut short is made anew.
    let mark = home.join("installed.txt");
    if fs::read_to_string(&mark).is_ok_and(|installed| installed == REQUIREMENTS) {
        return Ok(Schemathesis { path });
    }
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv", "--clear"]).arg(&home);
    said(&mut venv, INSTALL_DEADLINE).await?;
    let mut pip = Command::new(bin.join("python"));
    pip.args(["-m", "pip", "install", "--quiet", "--no-input"]);
    pip.args(["--disable-pip-version-check", "--requirement"]);
    pip.arg(workspace().join("tests/schemathesis/requirements.txt"));
    said(&mut pip, INSTALL_DEADLINE).await?;
    fs::write(&mark, REQUIREMENTS).with_context(|| format!("cannot write {}", mark.display()))?;
    Ok(Schemathesis { path })
}

/// Runs a program to its end; all it said is in the error, if it fails.
async fn said(command: &mut Command, limit: Duration) -> Result<()> {
    let name = command.as_std().get_program().display().to_string();
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = timeout(limit, output).await;
    let output = output.with_context(|| format!("{name} has not ended within {limit:?}"))?;
    let output = output.with_context(|| format!("cannot run {name}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    bail!("{name} failed: {}", String::from_utf8_lossy(&said))
}
