//! Small parts by themselves, as `cargo bench` measures them.

use anyhow::{Context, Result};
use local_stack::binaries::{cargo, standard_output};
use serde::{Deserialize, Serialize};

use crate::output::{say, step, table};

/// What remembering ids costs: batches of 500 entries, with the script and without in turns.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Commit {
    plain_per_second: f64,
    committed_per_second: f64,
    ratio: f64,
    bytes_per_id: f64,
}

/// All small parts.
#[derive(Debug, Serialize)]
pub(super) struct Micro {
    commit: Commit,
    /// What the benchmarks of the message print.
    message: String,
    /// What the benchmarks of the selection print.
    selection: String,
}

/// Measures in processes of their own, built with optimisation.
pub(super) async fn run() -> Result<Micro> {
    step("The commit script beside plain XADDs, in batches of 500");
    let text = bench("redis-bus", "commit", &["--json"]).await?;
    let line = text.lines().find(|line| line.starts_with('{'));
    let commit = serde_json::from_str(line.context("cargo bench told no figures")?)?;
    step("Reading messages and making entries");
    let message = bench("protocol", "message", &[]).await?;
    say(message.trim_end());
    step("Picking a consumer");
    let selection = bench("consumer-group-app", "selection", &[]).await?;
    say(selection.trim_end());
    Ok(Micro {
        commit,
        message,
        selection,
    })
}

/// What a benchmark prints.
async fn bench(package: &str, name: &str, args: &[&str]) -> Result<String> {
    let mut command = cargo();
    command.args(["bench", "--quiet", "--package", package]);
    command.args(["--bench", name, "--"]).args(args);
    standard_output(command, "cargo bench").await
}

impl Micro {
    pub(super) fn table(&self) -> String {
        let row = |name: &str, value: String| vec![name.to_owned(), value];
        let commit = self.commit;
        let plain = format!("{:.0}", commit.plain_per_second);
        let committed = format!("{:.0}", commit.committed_per_second);
        table(&[
            row("XADD, entries/s", plain),
            row("commit script, entries/s", committed),
            row("ratio", format!("{:.2}", commit.ratio)),
            row(
                "memory of an id, bytes",
                format!("{:.0}", commit.bytes_per_id),
            ),
        ])
    }
}
