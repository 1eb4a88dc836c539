//! A worker from flags to exit code.

use std::process::ExitCode;

use service_kit::{program, settings::Program};

use crate::{Consumer, ConsumerSettings, Processor, SETTINGS};

/// What [`main`] takes settings for: the settings file, flags and environment are `consumer-app`'s.
const PROGRAM: Program = Program {
    name: "consumer-app",
    about: "A worker of the consumer group.",
    version: env!("CARGO_PKG_VERSION"),
    default_file: "config/consumer-app.properties",
    settings: &[SETTINGS],
};

/// Runs a worker until SIGTERM, SIGINT, SIGHUP or SIGQUIT; what a `main` function returns.
pub fn main(processor: impl Processor) -> ExitCode {
    program::start(
        &PROGRAM,
        ConsumerSettings::read,
        async move |settings: ConsumerSettings| {
            Consumer::bind(settings, processor).await?.run().await
        },
    )
}
