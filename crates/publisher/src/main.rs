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

/// The exit code of a program that SIGINT ended, as shells have it.
const INTERRUPTED: u8 = 130;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Arguments::read()).await {
        Ok(Ended::Finished) => ExitCode::SUCCESS,
        Ok(Ended::Interrupted) => ExitCode::from(INTERRUPTED),
        // Such as `head`, which has seen enough.
        Err(error) if output::is_closed(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::tell_error(&error);
            ExitCode::FAILURE
        }
    }
}

async fn run(mut arguments: Arguments) -> Result<Ended> {
    if let Some(document) = arguments.document {
        output::tell_document(&document)?;
        return Ok(Ended::Finished);
    }
    match arguments.verb.take() {
        None => publish(arguments).await,
        Some(Verb::DeadLetters(verb)) => {
            let connection = connect(arguments.redis).await?;
            dead_letters::run(verb, connection, arguments.channel).await
        }
    }
}

async fn publish(arguments: Arguments) -> Result<Ended> {
    let signals = Signals::listen().context("cannot listen for signals")?;
    let source = match &arguments.file {
        Some(file) => Source::open(file).await?,
        None => Source::made(arguments.count, arguments.payload_bytes),
    };
    let connection = connect(arguments.redis).await?;
    let channel = PublishedChannel::new(connection, arguments.channel);
    let mut progress = Progress::start("published", source.total());
    let mut publisher = Publisher::new(channel, source, Pace::new(arguments.rate), signals);
    let ended = publisher.run(&mut progress).await;
    progress.finish();
    publisher.account().tell();
    ended
}
