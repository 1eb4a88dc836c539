//! What each process of a round takes: memory at its peak, CPU time for its messages.

use std::time::Duration;

use anyhow::{Context, Result};
use local_stack::{
    Stack,
    usage::{cpu_time, peak_memory_bytes},
};
use serde::Serialize;
use tokio::process::Child;

/// What one process took.
#[derive(Debug, Clone, Serialize)]
pub(super) struct ProcessUsage {
    pub name: String,
    pub peak_memory_bytes: u64,
    pub cpu_seconds_per_1000_messages: f64,
}

/// Watches the processes of a round.
#[derive(Debug)]
pub(super) struct Watch {
    messages: u32,
    /// Those that run before and after; with the CPU time each had used before.
    running: Vec<(String, u32, Duration)>,
    publisher: Publisher,
}

/// The publisher ends by itself, so its figures are taken while it runs.
#[derive(Debug, Default)]
struct Publisher {
    peak_memory_bytes: u64,
    cpu_time: Duration,
}

impl Watch {
    /// Notes what has been used before the first message.
    pub(super) fn start(stack: &Stack, messages: u32) -> Result<Self> {
        let redis = stack.redis.pid().context("Redis has ended")?;
        let mut processes = vec![
            ("redis-server".to_owned(), redis),
            ("consumer-group-app".to_owned(), stack.group.pid()),
        ];
        for (number, consumer) in (1..).zip(&stack.consumers) {
            processes.push((format!("consumer-app {number}"), consumer.pid()));
        }
        let with_cpu_time = |(name, pid)| Ok((name, pid, cpu_time(pid)?));
        let running: Result<Vec<_>> = processes.into_iter().map(with_cpu_time).collect();
        Ok(Self {
            messages,
            running: running?,
            publisher: Publisher::default(),
        })
    }

    /// Looks at the publisher, as long as it runs.
    pub(super) fn sample(&mut self, publisher: &Child) {
        let Some(pid) = publisher.id() else {
            return;
        };
        // After its end, until somebody waits for it, the memory is gone but the time still stands.
        if let Ok(bytes) = peak_memory_bytes(pid) {
            self.publisher.peak_memory_bytes = bytes;
        }
        if let Ok(time) = cpu_time(pid) {
            self.publisher.cpu_time = time;
        }
    }

    /// What each process has used for the messages, the publisher first.
    pub(super) fn finish(self) -> Result<Vec<ProcessUsage>> {
        let per_1000 = |time: Duration| time.as_secs_f64() * 1000.0 / f64::from(self.messages);
        let mut processes = vec![ProcessUsage {
            name: "publisher".to_owned(),
            peak_memory_bytes: self.publisher.peak_memory_bytes,
            cpu_seconds_per_1000_messages: per_1000(self.publisher.cpu_time),
        }];
        for (name, pid, before) in self.running {
            processes.push(ProcessUsage {
                name,
                peak_memory_bytes: peak_memory_bytes(pid)?,
                cpu_seconds_per_1000_messages: per_1000(cpu_time(pid)?.saturating_sub(before)),
            });
        }
        Ok(processes)
    }
}
