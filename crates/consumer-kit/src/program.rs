//! A worker from flags to exit code.

use std::{env, process::ExitCode};

use service_kit::{build::Build, program, settings::Program};

use crate::{Consumer, ConsumerSettings, Processor, SETTINGS};

/// What a worker is built from as far as this library knows; its own commit and date are its author's to know.
pub(crate) const BUILD: Build = Build::of_version(env!("CARGO_PKG_VERSION"));

/// What [`main`] takes settings for: flags and environment are `consumer-app`'s.
const PROGRAM: Program = Program {
    name: "consumer-app",
    about: "A worker of the consumer group.",
    build: BUILD,
    default_file: "config/consumer-app.properties",
    settings: &[SETTINGS],
    service: program::SETTINGS,
};

/// The settings file of this program: `config/`, its own name, `.properties`. That of `consumer-app` has
/// keys that are no settings of another worker.
fn own_file() -> &'static str {
    let program = env::current_exe().unwrap_or_default();
    let name = program.file_stem().unwrap_or_default().to_string_lossy();
    // Once in a process, whose settings it names until the end.
    format!("config/{name}.properties").leak()
}

/// Runs a worker until SIGTERM, SIGINT, SIGHUP or SIGQUIT; what a `main` function returns.
///
/// Its settings are those of `consumer-app`, but for the file: `config/<name of the program>.properties`.
pub fn main(processor: impl Processor) -> ExitCode {
    let program = Program {
        default_file: own_file(),
        ..PROGRAM
    };
    program::start(
        &program,
        ConsumerSettings::read,
        async move |settings: ConsumerSettings| {
            Consumer::bind(settings, processor).await?.run().await
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_reads_no_settings_file_of_consumer_app() {
        let file = own_file();
        assert!(file.starts_with("config/consumer_kit-"), "{file}");
        assert_ne!(file, PROGRAM.default_file);
    }
}
