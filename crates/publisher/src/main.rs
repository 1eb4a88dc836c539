//! `publisher`: publishes messages to the channel that the consumer group listens to.
//!
//! `source -> pace -> publisher -> account`: messages are made or read, sent in batches when they are
//! due, and what Redis answered is added up.

mod account;
mod arguments;
mod pace;
mod progress;
mod publisher;
mod source;

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use redis_bus::{BusError, Connection, Endpoint, RedisSettings, publish::PublishedChannel};
use service_kit::shutdown::Signals;

use crate::{
    arguments::Arguments,
    pace::Pace,
    progress::Progress,
    publisher::{Ended, Publisher},
    source::Source,
};

/// The exit code of a program that SIGINT ended, as shells have it.
const INTERRUPTED: u8 = 130;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(Ended::Finished) => ExitCode::SUCCESS,
        Ok(Ended::Interrupted) => ExitCode::from(INTERRUPTED),
        Err(error) => {
            progress::tell_error(&error);
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<Ended> {
    let signals = Signals::listen().context("cannot listen for signals")?;
    let source = match &arguments.file {
        Some(file) => Source::open(file).await?,
        None => Source::made(arguments.count, arguments.payload_bytes),
    };
    let settings = RedisSettings {
        host: arguments.redis_server_host,
        port: arguments.redis_server_port,
        url: arguments
            .redis_url
            .map(|url| url.parse())
            .transpose()
            .context("bad value for --redisUrl")?,
    };
    let connection = Connection::new(Endpoint::new(&settings)?);
    connection
        .ping()
        .await
        .map_err(|error| with_advice(&error))?;
    let channel = PublishedChannel::new(connection, arguments.channel);
    let total = source.total();
    let mut publisher = Publisher::new(channel, source, Pace::new(arguments.rate), signals);
    let mut progress = Progress::start(total);
    let ended = publisher.run(&mut progress).await;
    progress.finish();
    progress::tell_account(publisher.account());
    ended
}

/// Adds what to do about a Redis that is not there.
fn with_advice(error: &BusError) -> anyhow::Error {
    let advice = match error {
        BusError::Unreachable { .. } => {
            "start one with `redis-server`, or say where it is with \
             --redisServerHost and --redisServerPort, or --redisUrl"
        }
        _ => "check user, password and database in --redisUrl",
    };
    let text = service_kit::telemetry::chain(error);
    anyhow::anyhow!("{text}\n{advice}")
}
