//! `cargo xtask bench`: how fast the system is on this machine, and what that costs.
//!
//! Everything runs on this one machine and shares its cores. A round is publisher, private Redis, group
//! and consumers from the first message to the last entry of the stream; beside it stands what
//! `redis-benchmark` gets out of the same Redis with the same entry. The ways messages can go take turns.

mod ceiling;
mod commit;
mod report;
mod round;
mod usage;
mod work;

use std::{path::PathBuf, process::ExitCode, thread::available_parallelism};

use anyhow::{Context, Result};
use local_stack::{Binaries, Profile, RedisServer};

use self::{
    report::Report,
    round::{RoundOptions, Way},
};
use crate::output::{say, step};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How many messages each round publishes, as fast as they go.
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u32).range(1000..))]
    messages: u32,

    /// How many rounds; the table shows medians.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..))]
    rounds: u8,

    /// How many consumers.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..))]
    consumers: u8,

    /// Write the figures of every round to this file as well.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Measures, and shows the figures.
pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode> {
    let server = RedisServer::find_or_install()?;
    step("Building the services with optimisation");
    Binaries::build(Profile::Release).await?;
    let mut rounds = Vec::new();
    for number in 1..=arguments.rounds {
        for way in Way::ALL {
            let of = arguments.rounds;
            step(&format!("Round {number} of {of}, {}", way.name()));
            let options = RoundOptions {
                server: &server,
                messages: arguments.messages,
                consumers: arguments.consumers.into(),
                way,
            };
            let round = round::run(options).await?;
            say(&format!("    {:.0} messages/s", round.messages_per_second));
            rounds.push(round);
        }
    }
    let work = work::run(&server).await?;
    let commit = commit::run().await?;
    let report = Report {
        cores: available_parallelism().map_or(0, usize::from),
        messages: arguments.messages,
        consumers: arguments.consumers,
        rounds,
        work,
        commit,
    };
    step("Figures");
    say(&report.to_string());
    if let Some(file) = arguments.json {
        std::fs::write(&file, serde_json::to_string_pretty(&report)?)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}
