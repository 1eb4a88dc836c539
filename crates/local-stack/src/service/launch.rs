//! How a service's process is started.

use std::{path::Path, process::Stdio};

use anyhow::{Context, Result};
use tokio::{process::Command, task::JoinHandle};

use super::Service;
use crate::{LogLines, terminal};

/// Environment that would change what a service does, by the start of its name.
const SETTINGS_IN_ENVIRONMENT: [&str; 3] =
    ["CONSUMER_GROUP_APP__", "CONSUMER_APP__", "PUBLISHER__"];

/// Runs a command line that ends in one of our programs, which is told the arguments.
pub(super) fn launch(
    program: &Path,
    mut command: Command,
    args: &[&str],
    env: &[(&str, &str)],
) -> Result<Service> {
    command
        .args(["--logFormat", "json"])
        .args(args)
        .envs(env.iter().copied())
        .current_dir(std::env::temp_dir());
    run(program, command)
}

/// Runs any command line; `program` is what it is called by.
pub(super) fn run(program: &Path, mut command: Command) -> Result<Service> {
    let name = program.file_name().unwrap_or(program.as_os_str());
    let name = name.to_string_lossy().into_owned();
    let given: Vec<_> = command
        .as_std()
        .get_envs()
        .map(|(name, _)| name.to_owned())
        .collect();
    for (variable, _) in std::env::vars_os() {
        let text = variable.to_string_lossy();
        let is_setting = SETTINGS_IN_ENVIRONMENT
            .iter()
            .any(|start| text.starts_with(start));
        if is_setting && !given.contains(&variable) {
            command.env_remove(&variable);
        }
    }
    let mut process = terminal::placed(&mut command)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))?;
    let lines = LogLines::new();
    let stdout = process.stdout.take().context("no standard output")?;
    let stderr = process.stderr.take().context("no standard error")?;
    let readers = vec![
        spawn_reader(lines.clone().read(stdout)),
        spawn_reader(lines.clone().read(stderr)),
    ];
    Ok(Service {
        name,
        pid: process.id().context("it has no process id")?,
        process,
        lines,
        readers,
        address: String::new(),
        consumer_id: None,
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "no service runs here: the task ends with the process whose output it reads"
)]
fn spawn_reader(task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(task)
}
