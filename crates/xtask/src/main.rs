//! `cargo xtask`: what is done with this workspace.
//!
//! | command | does |
//! |---|---|
//! | `demo` | starts the whole system, sends messages through it and shows what became of them |
//! | `test` | all tests of the workspace, with a Redis to test against |
//! | `bench` | measures how fast the system is on this machine, and what that costs |
//! | `soak` | lets everything go wrong under load, and then checks the account |

mod account;
mod bench;
mod demo;
mod output;
mod publishing;
mod soak;
mod test;

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use service_kit::shutdown::Signals;

/// The exit code of a program that SIGINT ended, as shells have it.
const INTERRUPTED: u8 = 130;

/// What is done with this workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the whole system, send messages through it and show what became of them.
    Demo(demo::Arguments),
    /// Run all tests of the workspace, with a Redis to test against.
    Test(test::Arguments),
    /// Measure how fast the system is on this machine, and what that costs.
    Bench(bench::Arguments),
    /// Let everything go wrong under load, one thing after the other, and then check the account.
    Soak(soak::Arguments),
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(code) => code,
        Err(error) => {
            output::warn(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Runs a command until it is done or a signal comes; either way what it started ends with it.
async fn run(arguments: Arguments) -> Result<ExitCode> {
    let mut signals = Signals::listen().context("cannot listen for signals")?;
    let command = async {
        match arguments.command {
            Command::Demo(arguments) => demo::run(arguments).await,
            Command::Test(arguments) => test::run(arguments).await,
            Command::Bench(arguments) => bench::run(arguments).await,
            Command::Soak(arguments) => soak::run(arguments).await,
        }
    };
    tokio::select! {
        code = Box::pin(command) => code,
        signal = signals.next() => {
            output::warn(&format!("{signal}: ending everything that was started"));
            Ok(ExitCode::from(INTERRUPTED))
        }
    }
}
