//! A worker from flags to exit code.

use std::{env, process::ExitCode};

use service_kit::{build::Build, program, settings::Program};

use crate::{ConsumerSettings, Processor, SETTINGS, Worker};

/// What a worker is built from as far as this library knows; its own commit and date are its author's to know.
pub(crate) const BUILD: Build = Build::of_version(env!("CARGO_PKG_VERSION"));

/// What [`main`] takes settings for; what is the worker's own is filled in.
const PROGRAM: Program = Program {
    name: "worker",
    about: "A worker of the consumer group.",
    build: BUILD,
    // One name for the settings of all workers, as there is one list of them.
    environment: "CONSUMER_APP",
    default_file: "config/worker.properties",
    settings: &[SETTINGS],
    service: program::SETTINGS,
};

/// The program, under the name of its own file. That of its settings is `config/`, this name, `.properties`: the file of
/// `consumer-app` has keys that are no settings of another worker.
fn own() -> Program {
    let program = env::current_exe().unwrap_or_default();
    let name = program.file_stem().unwrap_or_default().to_string_lossy();
    // Once in a process, which they name until the end.
    Program {
        default_file: format!("config/{name}.properties").leak(),
        name: name.into_owned().leak(),
        ..PROGRAM
    }
}

/// Runs a worker until SIGTERM, SIGINT, SIGHUP or SIGQUIT; what a `main` function returns.
///
/// It is named as its program is. Its settings are those of `consumer-app`, flags and environment alike, but for the
/// file: `config/<name of the program>.properties`. For settings in code there is
/// [`Worker::builder`](crate::Worker::builder).
pub fn main(processor: impl Processor) -> ExitCode {
    let program = own();
    program::start(
        &program,
        ConsumerSettings::read,
        async move |settings: ConsumerSettings| {
            let worker = Worker::bind(program.name, settings, processor).await?;
            worker.run().await
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_reads_no_settings_file_of_consumer_app() {
        let Program {
            name, default_file, ..
        } = own();
        assert!(name.starts_with("consumer_kit-"), "{name}");
        assert_eq!(default_file, format!("config/{name}.properties"));
    }
}
