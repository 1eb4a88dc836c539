//! consumer-group-app: turns a Redis Pub/Sub channel into a consumer group over HTTP.
//!
//! Follow a message: [`listener`] hears it, [`queue`] holds it, [`dispatcher`] picks a consumer,
//! [`outbox`] hands it to [`consumer_client`], and what comes of it ends in [`delivery`]: processed, or by
//! way of [`dead_letter_writer`] in the stream of dead letters. [`app`] puts the roles together.

mod app;
mod concurrency_limit;
mod consumer_client;
mod consumer_group;
mod dead_letter_writer;
mod delivery;
mod dispatcher;
mod health_checker;
mod http;
mod lane;
mod listener;
mod mirror;
mod outbox;
mod queue;
mod retry;
mod settings;
mod standing;
mod throughput;

use std::process::ExitCode;

use app::App;
use service_kit::{program, settings::Loaded};
use settings::{PROGRAM, Settings};

fn main() -> ExitCode {
    program::start(&PROGRAM, Loaded::read, async |settings: Settings| {
        App::bind(settings).await?.run().await
    })
}
