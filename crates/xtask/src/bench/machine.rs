//! The machine that everything runs on.

use std::{fs, process::Command, thread::available_parallelism, time::Duration};

use local_stack::RedisServer;
use serde::Serialize;
use tokio::time::sleep;

use crate::output::warn;

/// Above this others disturb.
const QUIET_PERCENT: f64 = 5.0;

/// What the figures depend on; empty or 0 where the system does not tell.
#[derive(Debug, Serialize)]
pub(super) struct Machine {
    /// How many cores everything shares.
    cores: usize,
    processor: String,
    memory_kib: u64,
    kernel: String,
    redis: String,
    /// How much of its processors others used just before.
    busy_percent: f64,
}

impl Machine {
    /// Looks for a second how much of it others use.
    pub(super) async fn look(server: &RedisServer) -> Self {
        let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
        let version = Command::new(server.path()).arg("--version").output();
        let version = version.map(|output| output.stdout).unwrap_or_default();
        let before = jiffies(&read("/proc/stat"));
        sleep(Duration::from_secs(1)).await;
        let after = jiffies(&read("/proc/stat"));
        Self {
            cores: available_parallelism().map_or(0, usize::from),
            processor: value(&read("/proc/cpuinfo"), "model name"),
            memory_kib: first_number(&value(&read("/proc/meminfo"), "MemTotal")),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            redis: String::from_utf8_lossy(&version).trim().to_owned(),
            busy_percent: busy_percent(before, after),
        }
    }

    /// Warns when others use the machine: figures would be theirs, too.
    pub(super) fn warn_if_busy(&self) {
        if self.busy_percent > QUIET_PERCENT {
            warn(&format!(
                "others use {:.0} % of this machine: figures will be lower than they could be, and differ more",
                self.busy_percent
            ));
        }
    }
}

/// How long the processors have worked, and how long they could have, in ticks (proc(5), `stat`).
fn jiffies(stat: &str) -> (f64, f64) {
    let line = stat.lines().next().unwrap_or_default();
    let ticks = line.split_whitespace().skip(1).take(8);
    let ticks: Vec<f64> = ticks.filter_map(|ticks| ticks.parse().ok()).collect();
    let all: f64 = ticks.iter().sum();
    // The fourth and fifth are idle, and waiting for disks.
    let idle: f64 = ticks.iter().skip(3).take(2).sum();
    (all - idle, all)
}

fn busy_percent(before: (f64, f64), after: (f64, f64)) -> f64 {
    100.0 * (after.0 - before.0) / (after.1 - before.1).max(1.0)
}

/// The text after `name :` in its first line.
fn value(text: &str, name: &str) -> String {
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    let found = lines.find(|(key, _)| key.trim() == name);
    found.map_or(String::new(), |(_, value)| value.trim().to_owned())
}

fn first_number(text: &str) -> u64 {
    let number = text
        .split(' ')
        .next()
        .and_then(|number| number.parse().ok());
    number.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_name() {
        let text = "processor\t: 0\nmodel name\t: A: fast\nmodel name\t: B\nMemTotal:   17 kB\n";
        assert_eq!(value(text, "model name"), "A: fast");
        assert_eq!(first_number(&value(text, "MemTotal")), 17);
        assert_eq!(first_number(&value(text, "none")), 0);
    }

    #[test]
    fn what_is_neither_idle_nor_waiting_is_busy() {
        let before = jiffies("cpu  10 0 10 60 20 0 0 0 5 5\ncpu0 1 1 1 1\n");
        assert_eq!(before, (20.0, 100.0));
        let after = jiffies("cpu  35 0 10 130 25 0 0 0 5 5\n");
        assert_eq!(busy_percent(before, after), 25.0);
    }
}
