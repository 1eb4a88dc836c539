//! `publisher`: publishes messages to the channel that the consumer group listens to, and looks after
//! those it gave up on.
//!
//! `source -> pace -> publisher -> account`: messages are made or read, sent in batches when they are
//! due, and what Redis answered is added up. `dead_letters` is all that comes after the verb
//! `deadLetters`.

mod account;
mod arguments;
mod connect;
mod dead_letters;
mod output;
mod pace;
mod progress;
mod publisher;
mod source;
mod values;

use std::process::ExitCode;

use anyhow::{Context, Result};
use redis_bus::publish::PublishedChannel;
use service_kit::shutdown::Signals;

use crate::{
    arguments::{Arguments, Verb},
    connect::connect,
    pace::Pace,
    progress::Progress,
    publisher::{Ended, Publisher},
    source::Source,
};

/// The exit code of a program that SIGINT ended, as shells have it; so for the other signals.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let arguments = match Arguments::read() {
        Ok(arguments) => arguments,
        Err(answer) => return output::print_usage(&answer),
    };
    match start(arguments) {
        Ok(Ended::Finished) => ExitCode::SUCCESS,
        Ok(Ended::Interrupted) => ExitCode::from(INTERRUPTED),
        Err(error) => output::print_failure(&error),
    }
}

fn start(arguments: Arguments) -> Result<Ended> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let ended = runtime.block_on(run(arguments));
    // Standard input that is being read, and never ends, must not hold up the end.
    runtime.shutdown_background();
    ended
}

async fn run(mut arguments: Arguments) -> Result<Ended> {
    if let Some(document) = arguments.document {
        output::print_document(&document)?;
        return Ok(Ended::Finished);
    }
    match arguments.verb.take() {
        None => publish(arguments).await,
        Some(Verb::DeadLetters(verb)) => {
            let connection = connect(arguments.redis).await?;
            dead_letters::run(verb, connection).await
        }
    }
}

/// Publishes, and tells what came of it, whatever ends it: a first signal between two batches, a second one at once.
async fn publish(arguments: Arguments) -> Result<Ended> {
    let source = match &arguments.file {
        Some(file) => Source::open(file).await?,
        None => Source::made(arguments.count, arguments.payload_bytes),
    };
    let connection = connect(arguments.redis).await?;
    let channel = PublishedChannel::new(connection, arguments.channel);
    let (signals, mut insistent) = (listen()?, listen()?);
    let mut progress = Progress::start("published", source.total());
    let mut publisher = Publisher::new(channel, source, Pace::new(arguments.rate), signals);
    let ended = tokio::select! {
        ended = publisher.run(&mut progress) => ended,
        _ = insistent.second() => Ok(Ended::Interrupted),
    };
    progress.finish();
    let printed = publisher.account().print();
    let ended = ended?;
    printed?;
    Ok(ended)
}

fn listen() -> Result<Signals> {
    Signals::listen().context("cannot listen for signals")
}
