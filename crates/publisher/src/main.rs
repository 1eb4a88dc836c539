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
mod settings;
mod source;

use std::{env, process::ExitCode};

use anyhow::{Context, Result};
use redis_bus::publish::PublishedChannel;
use service_kit::{
    output::print_and_end,
    program::{self, Asked},
    shutdown::Signals,
};

use crate::{
    arguments::{Verb, Work},
    connect::connect,
    pace::Pace,
    progress::Progress,
    publisher::{Ended, Publisher},
    settings::{PROGRAM, Settings},
    source::Source,
};

/// The exit code of a program that SIGINT ended, as shells have it; so for the other signals.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let work = match arguments::read(env::args_os()) {
        Ok(Asked::Work(_, work)) => work,
        Ok(Asked::Answer(answer)) => return print_and_end(PROGRAM.name, &answer),
        Err(cause) => return program::refuse(&PROGRAM, &cause),
    };
    match start(work) {
        Ok(Ended::Finished) => ExitCode::SUCCESS,
        Ok(Ended::Interrupted) => ExitCode::from(INTERRUPTED),
        Err(error) => output::print_failure(&error),
    }
}

fn start((settings, verb): Work) -> Result<Ended> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let ended = runtime.block_on(async {
        match verb {
            None => publish(settings).await,
            Some(Verb::DeadLetters(verb)) => {
                let connection = connect(&settings.redis).await?;
                dead_letters::run(verb, settings.names.processed_stream, connection).await
            }
        }
    });
    // Standard input that is being read, and never ends, must not hold up the end.
    runtime.shutdown_background();
    ended
}

/// Publishes, and tells what came of it, whatever ends it: a first signal between two batches, a second one at once.
async fn publish(settings: Settings) -> Result<Ended> {
    let publishing = settings.publishing;
    let source = match &publishing.file {
        Some(file) => Source::open(file).await?,
        None => Source::made(publishing.count, publishing.payload_bytes),
    };
    let connection = connect(&settings.redis).await?;
    let channel = PublishedChannel::new(connection, settings.names.published_channel);
    let (signals, mut insistent) = (listen()?, listen()?);
    let mut progress = Progress::start("published", source.total());
    let mut publisher = Publisher::new(channel, source, Pace::new(publishing.rate), signals);
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
