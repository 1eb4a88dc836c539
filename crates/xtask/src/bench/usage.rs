//! What the processes of a round take: memory at its peak, CPU time for their messages.

use std::time::Duration;

use anyhow::Result;
use local_stack::usage::{cpu_time, peak_memory_bytes};
use serde::Serialize;

use super::system::{Part, Process, System};

/// What one process took.
#[derive(Debug, Clone, Serialize)]
pub(super) struct ProcessUsage {
    pub name: String,
    pub part: Part,
    /// None where it has ended.
    pub peak_memory_bytes: Option<u64>,
    pub cpu_seconds_per_million: f64,
}

impl ProcessUsage {
    /// Of a process that has ended.
    pub(super) fn of_load(name: &str, cpu: Duration, messages: u32) -> Self {
        Self {
            name: name.to_owned(),
            part: Part::Load,
            peak_memory_bytes: None,
            cpu_seconds_per_million: per_million(cpu, messages),
        }
    }
}

/// Watches the processes of a round.
#[derive(Debug)]
pub(super) struct Watch {
    /// With the CPU time each had used before.
    processes: Vec<(Process, Duration)>,
}

impl Watch {
    /// Notes what has been used before the first message.
    pub(super) fn start(system: &System) -> Result<Self> {
        let with_cpu_time = |process: Process| {
            let before = cpu_time(process.pid)?;
            Ok((process, before))
        };
        let processes = system.processes()?.into_iter().map(with_cpu_time);
        Ok(Self {
            processes: processes.collect::<Result<_>>()?,
        })
    }

    /// What each process has used for the messages.
    pub(super) fn finish(self, messages: u32) -> Result<Vec<ProcessUsage>> {
        let usage = |(process, before): (Process, Duration)| {
            let used = cpu_time(process.pid)?.saturating_sub(before);
            Ok(ProcessUsage {
                peak_memory_bytes: Some(peak_memory_bytes(process.pid)?),
                cpu_seconds_per_million: per_million(used, messages),
                name: process.name,
                part: process.part,
            })
        };
        self.processes.into_iter().map(usage).collect()
    }
}

fn per_million(time: Duration, messages: u32) -> f64 {
    time.as_secs_f64() * 1e6 / f64::from(messages)
}
