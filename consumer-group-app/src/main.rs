//! consumer-group-app: turns a Redis Pub/Sub channel into a consumer group over HTTP.
//!
//! Follow a message: [`listener`] hears it, [`intake`] admits it to the queue in Redis, [`handed`] or the
//! [`reader`] brings it from there to [`queue`], [`dispatcher`] picks a consumer, [`outbox`] hands it to
//! [`consumer_client`], and what comes of it ends in [`delivery`]: settled by the consumer, or by way of
//! the [`settler`]; or, given up, by way of the [`dead_letter_writer`]. [`app`] puts the roles together.

mod app;
mod consumer_client;
mod consumer_group;
mod dead_letter_writer;
mod delivery;
mod dispatcher;
mod gaps;
mod handed;
mod health_checker;
mod history;
mod http;
mod intake;
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
use mimalloc::MiMalloc;
use service_kit::program;
use settings::{PROGRAM, Settings};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    program::start(&PROGRAM, Settings::read, async |settings| {
        App::bind(settings).await?.run().await
    })
}
