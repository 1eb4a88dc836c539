//! consumer-group-app: turns a Redis Pub/Sub channel into a consumer group over HTTP.
//!
//! Follow a message: [`intake`] hears it and admits it to the queue in Redis; [`queue`] holds what this replica
//! was handed from there; [`dispatch`] picks a consumer for it; [`consumer`] knows the consumers and sends it to that
//! one. What comes of it ends in [`delivery`]: settled by the consumer, or by [`queue`]; or given up, by way of
//! [`dead_letters`]. [`observe`] watches, [`http`] answers, [`app`] puts the roles together.

mod app;
mod consumer;
mod dead_letters;
mod delivery;
mod dispatch;
mod http;
mod intake;
mod leasing;
mod observe;
mod queue;
mod settings;

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
