//! consumer-group-app: turns a Redis Pub/Sub channel into a consumer group over HTTP.
//!
//! Follow a message: [`listener`] hears it, [`queue`] holds it, [`dispatcher`] picks a consumer,
//! [`outbox`] hands it to [`consumer_client`], and what comes of it ends in [`delivery`]: processed, or by
//! way of [`dead_letter_writer`] in the stream of dead letters. With `--queue stream` the [`enqueuer`]
//! brings what was heard to the durable queue in Redis, the [`reader`] brings it back from there, and the
//! [`settler`] takes it out of there in the end. [`app`] puts the roles together.

mod app;
mod consumer_client;
mod consumer_group;
mod dead_letter_writer;
mod delivery;
mod dispatcher;
mod enqueuer;
mod gaps;
mod health_checker;
mod history;
mod http;
mod lane;
mod listener;
mod meters;
mod mirror;
mod outbox;
mod own_fault;
mod queue;
mod reader;
mod record;
mod retry;
mod retry_after;
mod sampler;
mod selection;
mod server_checker;
mod settings;
mod settler;
mod standing;
mod status;
mod sweeps;
mod throughput;
mod window;

use std::process::ExitCode;

use app::App;
use service_kit::program;
use settings::{PROGRAM, Settings};

fn main() -> ExitCode {
    program::start(&PROGRAM, Settings::read, async |settings| {
        App::bind(settings).await?.run().await
    })
}
