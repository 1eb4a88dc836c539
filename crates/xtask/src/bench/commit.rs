//! What remembering ids costs: the commit script beside plain XADDs, as `redis-bus` measures it.

use anyhow::{Context, Result, ensure};
use local_stack::binaries::cargo;
use serde::{Deserialize, Serialize};

use crate::output::step;

/// Batches of 500 entries, both ways in turns against one Redis.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Commit {
    pub plain_per_second: f64,
    pub committed_per_second: f64,
    pub ratio: f64,
    pub bytes_per_id: f64,
}

/// Measures in a process of its own, built with optimisation.
pub(super) async fn run() -> Result<Commit> {
    step("The commit script beside plain XADDs, in batches of 500");
    let mut command = tokio::process::Command::from(cargo());
    let output = command
        .args(["bench", "--quiet", "--package", "redis-bus"])
        .args(["--bench", "commit", "--", "--json"])
        .kill_on_drop(true)
        .output()
        .await
        .context("cannot run cargo bench")?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "cargo bench failed: {error}");
    let text = String::from_utf8(output.stdout)?;
    let line = text.lines().find(|line| line.starts_with('{'));
    Ok(serde_json::from_str(
        line.context("cargo bench told no figures")?,
    )?)
}
