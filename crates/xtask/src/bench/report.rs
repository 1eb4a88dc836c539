//! All figures, as tables for people and as JSON for machines.

use std::fmt;

use serde::Serialize;

use super::{
    balance::{self, Balance},
    burst::{self, Burst},
    idle::{self, Idle},
    latency::Latency,
    machine::Machine,
    micro::Micro,
    scaling::Curve,
    throughput::Throughput,
};

/// All figures of a run; `None` for the parts that were left out.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) machine: Machine,
    pub(super) throughput: Option<Throughput>,
    pub(super) latency: Option<Latency>,
    pub(super) scaling: Option<Curve>,
    pub(super) short_bursts: Option<Curve>,
    pub(super) replicas: Option<Curve>,
    pub(super) balance: Option<Vec<Balance>>,
    pub(super) burst: Option<Vec<Burst>>,
    pub(super) idle: Option<Vec<Idle>>,
    pub(super) micro: Option<Micro>,
}

impl Report {
    /// Nothing measured yet.
    pub(super) fn of(machine: Machine) -> Self {
        Self {
            machine,
            throughput: None,
            latency: None,
            scaling: None,
            short_bursts: None,
            replicas: None,
            balance: None,
            burst: None,
            idle: None,
            micro: None,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            (
                "Throughput",
                self.throughput.as_ref().map(Throughput::tables),
            ),
            ("Latency", self.latency.as_ref().map(Latency::table)),
            (
                "Consumers with 10 ms of work a message, one at a time",
                self.scaling.as_ref().map(Curve::table),
            ),
            (
                "Consumers with 20 ms of work a message, 150 messages for each, all at once",
                self.short_bursts.as_ref().map(Curve::table),
            ),
            (
                "Groups side by side",
                self.replicas.as_ref().map(Curve::table),
            ),
            (
                "Messages handed out to consumers with much work",
                self.balance.as_deref().map(balance::shown),
            ),
            ("All at once", self.burst.as_deref().map(burst::shown)),
            ("Nothing to do", self.idle.as_deref().map(idle::shown)),
            (
                "The commit script in batches of 500, beside the same entries pipelined",
                self.micro.as_ref().map(Micro::table),
            ),
        ];
        for (title, text) in parts {
            if let Some(text) = text {
                writeln!(f, "{title}\n\n{text}")?;
            }
        }
        Ok(())
    }
}
