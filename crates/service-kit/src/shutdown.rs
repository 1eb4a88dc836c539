//! The signals that end a service.

use std::{io, time::Duration};

use serde::Deserialize;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::settings::Setting;

/// The setting of the section `[service]`; every [`crate::settings::Program`] has it.
pub(crate) const SETTINGS: &[Setting] = &[Setting {
    key: "service.shutdown_grace_seconds",
    flag: "shutdownGraceSeconds",
    value_name: "SECONDS",
    default: Some("20"),
    help: "How long work under way may take to finish after SIGTERM",
    heading: "General",
}];

/// Section `[service]`.
#[derive(Debug, Clone, Deserialize)]
pub struct ServiceSettings {
    shutdown_grace_seconds: u64,
}

impl ServiceSettings {
    /// How long work under way may take to finish at shutdown.
    #[must_use]
    pub fn shutdown_grace(&self) -> Duration {
        Duration::from_secs(self.shutdown_grace_seconds)
    }
}

/// SIGTERM and SIGINT, heard from the moment this is made.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Takes the signals over from the system's default of ending the process.
    ///
    /// # Errors
    /// When the system refuses a signal handler.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next signal and names it.
    ///
    /// # Cancel safety
    /// Safe: a signal that was not returned is returned by the next call.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
