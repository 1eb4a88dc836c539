//! A process of the program `contestants`.

use std::{path::Path, process::Stdio, time::Duration};

use anyhow::{Context, Result, bail};
use local_stack::{PrivateRedis, Profile, binaries::build_programs, usage::cpu_time};
use serde::de::DeserializeOwned;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    sync::OnceCell,
    time::timeout,
};

/// A running process; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Helper {
    process: Child,
    pid: u32,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Helper {
    /// Starts one with a Redis; the program is always built with optimisation.
    pub(super) async fn start(redis: &PrivateRedis, args: &[&str]) -> Result<Self> {
        let mut process = Command::new(program().await?)
            .args(["--port", &redis.port_text()])
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start a contestant")?;
        let stdout = process.stdout.take().context("no standard output")?;
        Ok(Self {
            pid: process.id().context("it has no process id")?,
            process,
            lines: BufReader::new(stdout).lines(),
        })
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// The next line it prints.
    pub(super) async fn told<T: DeserializeOwned>(&mut self, limit: Duration) -> Result<T> {
        let line = timeout(limit, self.lines.next_line())
            .await
            .with_context(|| format!("a contestant told nothing within {limit:?}"))??;
        let line = line.context("a contestant ended without a word")?;
        Ok(serde_json::from_str(&line)?)
    }

    /// Waits for its end; answers the CPU time it took.
    pub(super) async fn finish(mut self, limit: Duration) -> Result<Duration> {
        // At the end of its output it ends; until somebody waits for it, its time still stands.
        timeout(limit, self.lines.next_line())
            .await
            .with_context(|| format!("a contestant did not end within {limit:?}"))??;
        let took = cpu_time(self.pid)?;
        let status = self.process.wait().await?;
        if !status.success() {
            bail!("a contestant failed ({status})");
        }
        Ok(took)
    }

    /// Ends it.
    pub(super) async fn kill(&mut self) -> Result<()> {
        self.process.kill().await.context("cannot end a contestant")
    }
}

/// Builds the program, once.
pub(super) async fn program() -> Result<&'static Path> {
    static PROGRAM: OnceCell<std::path::PathBuf> = OnceCell::const_new();
    let build = async || {
        let [program] = build_programs(["contestants"], Profile::Release).await?;
        anyhow::Ok(program)
    };
    Ok(PROGRAM.get_or_try_init(build).await?)
}
