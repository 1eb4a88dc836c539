//! How a service runs and ends: its threads, and the signals that end it.

use std::{fs, future::poll_fn, io, num::NonZeroUsize, task::Poll, time::Duration};

use serde::Deserialize;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::settings::{Setting, ValueKind};

/// The settings of the section `[service]`; every [`crate::settings::Program`] has them.
pub(crate) const SETTINGS: &[Setting] = &[
    Setting {
        key: "service.shutdown_grace_seconds",
        flag: "shutdownGraceSeconds",
        value_name: "SECONDS",
        kind: ValueKind::number(0, 86_400, "seconds"),
        default: Some("20"),
        help: "How long work may take to finish after SIGTERM",
        heading: "General",
    },
    // With one, a message never waits for another thread to wake up: measured, a fifth less latency at
    // 10,000 messages/s on two cores, and no less throughput.
    Setting {
        key: "service.worker_threads",
        flag: "workerThreads",
        value_name: "COUNT",
        kind: ValueKind::count(1, 512),
        default: Some("1"),
        help: "How many threads do the work; more than one helps only where a processor computes for long",
        heading: "General",
    },
];

/// Section `[service]`.
#[derive(Debug, Clone, Deserialize)]
pub struct ServiceSettings {
    shutdown_grace_seconds: u64,
    worker_threads: NonZeroUsize,
}

impl ServiceSettings {
    /// How long work under way may take to finish at shutdown.
    #[must_use]
    pub fn shutdown_grace(&self) -> Duration {
        Duration::from_secs(self.shutdown_grace_seconds)
    }

    /// How many threads the runtime has.
    pub(crate) fn worker_threads(&self) -> usize {
        self.worker_threads.get()
    }
}

/// SIGHUP, as the system numbers it everywhere.
const HANGUP: u32 = 1;

/// The signals that ask a process to end: SIGTERM, SIGINT, SIGQUIT, and SIGHUP, which a closed terminal sends. Heard
/// from the moment this is made.
#[derive(Debug)]
pub struct Signals(Vec<(&'static str, Signal)>);

impl Signals {
    /// Takes the signals over from the system's default of ending the process.
    ///
    /// SIGHUP stays ignored where the process was started so: that is what `nohup` is for.
    ///
    /// # Errors
    /// When the system refuses a signal handler.
    pub fn listen() -> io::Result<Self> {
        let mut signals = vec![
            ("SIGTERM", signal(SignalKind::terminate())?),
            ("SIGINT", signal(SignalKind::interrupt())?),
            ("SIGQUIT", signal(SignalKind::quit())?),
        ];
        if !is_hangup_ignored() {
            signals.push(("SIGHUP", signal(SignalKind::hangup())?));
        }
        Ok(Self(signals))
    }

    /// Waits for the next signal and names it.
    ///
    /// # Cancel safety
    /// Safe: a signal that was not returned is returned by the next call.
    pub async fn next(&mut self) -> &'static str {
        poll_fn(|context| {
            let signals = self.0.iter_mut();
            for (name, signal) in signals {
                if signal.poll_recv(context).is_ready() {
                    return Poll::Ready(*name);
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Waits for a second signal and names it: who sends it wants the process to end at once.
    pub async fn second(&mut self) -> &'static str {
        self.next().await;
        self.next().await
    }
}

/// Whether this process was started with SIGHUP ignored; only Linux tells.
fn is_hangup_ignored() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    ignores(&status, HANGUP)
}

/// Whether a signal is ignored by a process with this `/proc/PID/status`: `SigIgn` is a set of bits, in hexadecimal.
fn ignores(status: &str, signal: u32) -> bool {
    let mut lines = status.lines();
    let ignored = lines.find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
    ignored.is_some_and(|set| set & (1 << (signal - 1)) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ignored_signal_is_read_from_the_status_of_the_process() {
        let status = |set: &str| format!("Name:\tx\nSigBlk:\t01\nSigIgn:\t{set}\nSigCgt:\t01\n");
        assert!(ignores(&status("0000000000001001"), HANGUP));
        assert!(!ignores(&status("0000000000001000"), HANGUP));
        assert!(!ignores("", HANGUP));
    }
}
