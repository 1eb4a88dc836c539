//! `cargo xtask bench`: how fast the system is on this machine, beside what else one could do.
//!
//! Everything runs on this one machine and shares its cores, so that figures compare only within a run;
//! the ways messages can go take turns. What they are compared with is in `crates/contestants`.

mod balance;
mod burst;
mod charts;
mod contestant;
mod helper;
mod idle;
mod latency;
mod machine;
mod micro;
mod report;
mod round;
mod scaling;
mod spread;
mod system;
mod throughput;
mod usage;
mod xadd;

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use clap::{ValueEnum, value_parser};
use local_stack::{Binaries, Profile, RedisServer};

use self::{machine::Machine, report::Report};
use crate::output::{say, step};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Measure only these parts.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Part::ALL)]
    only: Vec<Part>,

    /// How many messages each round of throughput and replicas sends, as fast as they go.
    #[arg(long, default_value_t = 200_000, value_parser = value_parser!(u32).range(1000..))]
    messages: u32,

    /// How many rounds of throughput, latency and replicas; the tables show medians.
    #[arg(long, default_value_t = 3, value_parser = value_parser!(u8).range(1..))]
    rounds: u8,

    /// How many consumers, but for scaling.
    #[arg(long, default_value_t = 2, value_parser = value_parser!(u8).range(1..))]
    consumers: u8,

    /// For how many seconds the latency of each way is measured in a round.
    #[arg(long, default_value_t = 10, value_parser = value_parser!(u32).range(1..=600))]
    latency_seconds: u32,

    /// For about how many seconds each number of consumers works.
    #[arg(long, default_value_t = 15, value_parser = value_parser!(u32).range(1..=600))]
    scaling_seconds: u32,

    /// How many messages a burst has.
    #[arg(long, default_value_t = 1_000_000, value_parser = value_parser!(u32).range(1000..))]
    burst_messages: u32,

    /// Write all figures to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Write charts, as SVG, to this directory.
    #[arg(long, value_name = "DIR")]
    charts: Option<PathBuf>,
}

/// A part of the measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Messages a second of every way, and what they cost.
    Throughput,
    /// The time from publishing to the entry.
    Latency,
    /// 1 to 16 consumers with 10 ms of work a message, and short bursts.
    Scaling,
    /// 1 to 4 groups side by side.
    Replicas,
    /// How evenly consumers with much work get their messages.
    Balance,
    /// Very many messages at once.
    Burst,
    /// Nothing to do.
    Idle,
    /// Small parts by themselves.
    Micro,
}

impl Part {
    const ALL: [Self; 8] = [
        Self::Throughput,
        Self::Latency,
        Self::Scaling,
        Self::Replicas,
        Self::Balance,
        Self::Burst,
        Self::Idle,
        Self::Micro,
    ];
}

/// Measures, and shows the figures.
pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode> {
    let server = RedisServer::find_or_install()?;
    step("Building the services with optimisation");
    Binaries::build(Profile::Release).await?;
    helper::program().await?;
    let machine = Machine::look(&server).await;
    machine.warn_if_busy();
    let report = measure(&arguments, &server, machine).await?;
    step("Figures");
    say(&report.to_string());
    if let Some(directory) = &arguments.charts {
        charts::write(&report, directory)?;
    }
    if let Some(file) = arguments.json {
        fs::write(&file, serde_json::to_string_pretty(&report)?)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn measure(arguments: &Arguments, server: &RedisServer, machine: Machine) -> Result<Report> {
    let is_asked = |part| arguments.only.contains(&part);
    let consumers = usize::from(arguments.consumers);
    let Arguments {
        messages, rounds, ..
    } = *arguments;
    let mut report = Report::of(machine);
    if is_asked(Part::Throughput) {
        let throughput = throughput::run(server, rounds, messages, consumers).await?;
        report.throughput = Some(throughput);
    }
    if is_asked(Part::Latency) {
        let latency = latency::run(server, rounds, arguments.latency_seconds, consumers).await?;
        report.latency = Some(latency);
    }
    if is_asked(Part::Scaling) {
        report.scaling = Some(scaling::consumers(server, arguments.scaling_seconds).await?);
        report.short_bursts = Some(scaling::bursts(server).await?);
    }
    if is_asked(Part::Replicas) {
        let replicas = scaling::groups(server, rounds, messages, consumers).await?;
        report.replicas = Some(replicas);
    }
    if is_asked(Part::Balance) {
        report.balance = Some(balance::run(server).await?);
    }
    if is_asked(Part::Burst) {
        report.burst = Some(burst::run(server, arguments.burst_messages, consumers).await?);
    }
    if is_asked(Part::Idle) {
        report.idle = Some(idle::run(server, consumers).await?);
    }
    if is_asked(Part::Micro) {
        report.micro = Some(micro::run().await?);
    }
    Ok(report)
}
