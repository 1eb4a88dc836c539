//! What the services hold and what they said.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use local_stack::usage::{memory_bytes, open_files};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::{findings::Findings, system::System};
use crate::output::count;

/// The most memory a service may hold, in bytes.
const MEMORY_BYTES: u64 = 256 << 20;

/// How many file descriptors more than at first a service may hold at last.
const MORE_FILES: usize = 20;

/// How long closing what is no longer used may take: connections are kept for a while.
const SETTLE_DEADLINE: Duration = Duration::from_secs(45);

/// What one service holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    files: usize,
    memory: u64,
}

impl System {
    /// What each service holds now.
    pub(super) fn held(&self) -> Result<Vec<Held>> {
        let held = |pid| {
            let (files, memory) = (open_files(pid)?, memory_bytes(pid)?);
            Ok(Held { files, memory })
        };
        let pids = self.parts.iter().map(|part| part.service.pid());
        pids.map(held).collect()
    }

    /// Checks that each holds about what it held at first, and answers that as a table.
    pub(super) async fn check_held(
        &self,
        first: &[Held],
        findings: &Findings,
    ) -> Result<Vec<Vec<String>>> {
        let started = Instant::now();
        let last = loop {
            let last = self.held()?;
            let fine = first
                .iter()
                .zip(&last)
                .all(|(first, last)| last.fits(first));
            if fine || started.elapsed() > SETTLE_DEADLINE {
                break last;
            }
            sleep(Duration::from_millis(200)).await;
        };
        let head = ["", "started", "files", "then", "MiB", "then"].map(str::to_owned);
        let mut rows = vec![head.to_vec()];
        for ((part, first), last) in self.parts.iter().zip(first).zip(&last) {
            let process = part.process.to_string();
            if !last.fits(first) {
                let example = format!("{process}: {first:?} at first, {last:?} at last");
                findings.add("a service holds too much", example);
            }
            let mib = |held: &Held| count(held.memory >> 20);
            rows.push(vec![
                process,
                format!("{}x", part.logs.len()),
                first.files.to_string(),
                last.files.to_string(),
                mib(first),
                mib(last),
            ]);
        }
        Ok(rows)
    }

    /// Checks what every service has logged.
    pub(super) fn check_logs(&self, findings: &Findings) {
        for part in &self.parts {
            for (life, log) in (1..).zip(&part.logs) {
                for line in log.all() {
                    if let Some(wrong) = wrong_with(&line) {
                        findings.add(wrong, format!("{}, life {life}: {line}", part.process));
                    }
                }
            }
        }
    }

    /// Writes all logs to a new directory.
    pub(super) fn keep_logs(&self, seed: u64) -> Result<PathBuf> {
        let name = format!("soak-{seed}-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory)
            .with_context(|| format!("cannot create {}", directory.display()))?;
        for part in &self.parts {
            for (life, log) in (1..).zip(&part.logs) {
                let file = format!("{}.{life}.log", part.process);
                write(&directory.join(file), &log.all().join("\n"))?;
            }
        }
        write(&directory.join("redis.log"), &self.redis.log())?;
        Ok(directory)
    }
}

impl Held {
    fn fits(&self, first: &Self) -> bool {
        self.files <= first.files + MORE_FILES && self.memory < MEMORY_BYTES
    }
}

/// What is wrong with a line of a log, if anything is.
fn wrong_with(line: &str) -> Option<&'static str> {
    if line.contains("panicked") {
        return Some("a service panicked");
    }
    let line: Value = serde_json::from_str(line).ok()?;
    if line["level"] != "ERROR" || is_expected(&line) {
        return None;
    }
    Some("an ERROR that is not expected")
}

/// Whether a line tells of a request that could not be answered, or of dead letters that could not be
/// written: both happen while there is no Redis.
fn is_expected(line: &Value) -> bool {
    let is_panic = line["message"] == "Failed to answer!";
    let letters_wait = line["message"] == "cannot write dead letters; trying again";
    letters_wait || (line["reference"].is_string() && !is_panic)
}

fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_and_an_error_without_a_known_cause_are_wrong() {
        let panic = "thread 'main' panicked at x.rs:1";
        assert_eq!(wrong_with(panic), Some("a service panicked"));
        let answer = r#"{"level":"ERROR","message":"Failed to answer!","reference":"x"}"#;
        assert!(wrong_with(answer).is_some());
        let unknown = r#"{"level":"ERROR","message":"a task was cut"}"#;
        assert!(wrong_with(unknown).is_some());
    }

    #[test]
    fn an_error_for_lack_of_redis_and_a_warning_are_not() {
        let status = r#"{"level":"ERROR","message":"Failed to read the status!","reference":"x"}"#;
        let letters = r#"{"level":"ERROR","message":"cannot write dead letters; trying again"}"#;
        for line in [status, letters, r#"{"level":"WARN","message":"x"}"#] {
            assert_eq!(wrong_with(line), None, "{line}");
        }
    }
}
