//! `cargo xtask`: what is done with this workspace.
//!
//! | command | does |
//! |---|---|
//! | `demo` | starts the whole system, sends messages through it and shows what became of them |
//! | `screenshot` | makes the picture of the dashboard in docs |
//! | `test` | all tests of the workspace, with a Redis to test against |
//! | `bench` | measures how fast the system is on this machine, and what that costs |
//! | `soak` | lets everything go wrong under load, and then checks the account |

mod account;
mod bench;
mod demo;
mod output;
mod publishing;
mod screenshot;
mod soak;
mod test;

use std::{pin::Pin, process::ExitCode};

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
    /// Make the picture of the dashboard, docs/dashboard.png.
    Screenshot(screenshot::Arguments),
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
    let command: Pin<Box<dyn Future<Output = Result<ExitCode>>>> = match arguments.command {
        // It ends in order what it started; after a second signal that is killed.
        Command::Demo(arguments) => {
            let mut insistent = Signals::listen().context("cannot listen for signals")?;
            return tokio::select! {
                code = Box::pin(demo::run(arguments, &mut signals)) => code,
                _ = insistent.second() => Ok(ExitCode::from(INTERRUPTED)),
            };
        }
        Command::Screenshot(arguments) => Box::pin(screenshot::run(arguments)),
        Command::Test(arguments) => Box::pin(test::run(arguments)),
        Command::Bench(arguments) => Box::pin(bench::run(arguments)),
        Command::Soak(arguments) => Box::pin(soak::run(arguments)),
    };
    tokio::select! {
        code = command => code,
        signal = signals.next() => {
            output::warn(&format!("{signal}: ending everything that was started"));
            Ok(ExitCode::from(INTERRUPTED))
        }
    }
}
