//! What every `main` does around its service: settings, log, runtime, exit code.

use std::process::ExitCode;

use serde::Deserialize;
use tracing::{error, warn};

use crate::{
    settings::{Loaded, Program, SettingsError},
    shutdown::ServiceSettings,
    telemetry::{self, LogSettings, chain},
};

/// The exit code for settings that cannot be used (`EX_USAGE` of sysexits.h).
pub const BAD_USAGE: u8 = 64;

/// The sections every program has.
#[derive(Deserialize)]
struct Common {
    log: LogSettings,
    service: ServiceSettings,
}

/// Runs a service to its end: reads its settings by way of `read`, starts its log and a runtime, and turns its result
/// into an exit code.
///
/// 0 after success, `--help` and `--version`; 1 after a failure, which is logged; 2 after a wrong command
/// line; [`BAD_USAGE`] after other settings that cannot be used.
pub fn start<S, F: Future<Output = anyhow::Result<()>>>(
    program: &Program,
    read: impl FnOnce(&Loaded) -> Result<S, SettingsError>,
    service: impl FnOnce(S) -> F,
) -> ExitCode {
    let (loaded, common, settings) = match prepare(program, read) {
        Ok(prepared) => prepared,
        Err(SettingsError::CommandLine(answer)) => answer.exit(),
        Err(cause) => {
            complain(program.name, &chain(&cause));
            return ExitCode::from(BAD_USAGE);
        }
    };
    for warning in loaded.warnings() {
        warn!("{warning}");
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(common.service.worker_threads())
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(cause) => {
            error!(%cause, "cannot start the runtime");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(service(settings)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) => {
            error!("{cause:#}");
            ExitCode::FAILURE
        }
    }
}

fn prepare<S>(
    program: &Program,
    read: impl FnOnce(&Loaded) -> Result<S, SettingsError>,
) -> Result<(Loaded, Common, S), SettingsError> {
    let loaded = program.load(std::env::args_os(), std::env::vars_os())?;
    let common: Common = loaded.read()?;
    let settings = read(&loaded)?;
    telemetry::init(&common.log)?;
    Ok((loaded, common, settings))
}

#[expect(
    clippy::print_stderr,
    reason = "there is no log before the settings are read"
)]
fn complain(name: &str, what: &str) {
    eprintln!("{name}: {what}");
}
