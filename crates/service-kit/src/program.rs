//! What every `main` does around its service: settings, log, runtime, exit code.

use std::{env, process::ExitCode};

use clap::{ArgMatches, Command};
use serde::Deserialize;
use tracing::{error, info, warn};

use crate::{
    build::Build,
    descriptors, documents, health_check,
    http_server::Address,
    huge_pages, output,
    settings::{Loaded, Program, Setting, SettingsError, asks_for_check, asks_for_health},
    shutdown::{self, ServiceSettings},
    spans::{self, Export, TelemetrySettings},
    telemetry::{self, LogGuard, LogSettings, chain},
};

/// The exit code for settings that cannot be used (`EX_USAGE` of sysexits.h).
pub const BAD_USAGE: u8 = 64;

/// What every service can be told about its process: its log, its spans, its threads and its end.
pub const SETTINGS: &[&[Setting]] = &[shutdown::SETTINGS, telemetry::SETTINGS, spans::SETTINGS];

/// The sections every service has.
#[derive(Deserialize)]
struct Common {
    log: LogSettings,
    rest_api: Address,
    service: ServiceSettings,
    #[serde(default)]
    telemetry: TelemetrySettings,
}

/// What a command line asks for.
#[derive(Debug)]
pub enum Asked<S> {
    /// That the program does its work, with these settings.
    Work(Loaded, S),
    /// To be told something, and no more.
    Answer(Vec<u8>),
}

/// What the command line of a service asks for.
enum Task<S> {
    /// That the service runs.
    Run(Loaded, Common, S, LogGuard),
    /// To be told something, and no more.
    Tell(Vec<u8>),
    /// Whether the service that listens here is healthy.
    CheckHealth(Address),
}

/// Runs a service to its end: reads its settings by way of `read`, starts its log and a runtime, and turns its result
/// into an exit code.
///
/// 0 after success, and after `--help`, `--checkConfig` and the like; 1 after a failure, which is logged, and after
/// `--checkHealth` of a service that is not healthy; 2 after a wrong command line; [`BAD_USAGE`] after other settings
/// that cannot be used; [`output::IO_ERROR`] when what was asked for cannot be written.
pub fn start<S, E: Into<anyhow::Error>, F: Future<Output = Result<(), E>>>(
    program: &Program,
    read: impl FnOnce(&Loaded) -> Result<S, SettingsError>,
    service: impl FnOnce(S) -> F,
) -> ExitCode {
    huge_pages::do_without();
    let (loaded, common, settings, _log) = match prepare(program, read) {
        Ok(Task::Run(loaded, common, settings, log)) => (loaded, common, settings, log),
        Ok(Task::Tell(answer)) => return output::print_and_end(program.name, &answer),
        Ok(Task::CheckHealth(address)) => return tell_health(program.name, &address),
        Err(cause) => return refuse(program, &cause),
    };
    announce(program, &loaded);
    descriptors::raise_limit();
    for warning in loaded.warnings() {
        warn!("{warning}");
    }
    let export = match Export::start(&common.telemetry, program) {
        Ok(export) => export,
        Err(cause) => {
            error!(cause = chain(&cause), "cannot send spans");
            return ExitCode::FAILURE;
        }
    };
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
    let code = match runtime.block_on(service(settings)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) => {
            let cause: anyhow::Error = cause.into();
            error!("{cause:#}");
            ExitCode::FAILURE
        }
    };
    export.stop();
    // A name that is being looked up must not hold up the end.
    runtime.shutdown_background();
    code
}

fn prepare<S>(
    program: &Program,
    read: impl FnOnce(&Loaded) -> Result<S, SettingsError>,
) -> Result<Task<S>, SettingsError> {
    let matches = program.command().try_get_matches_from(env::args_os())?;
    let read = |loaded: &Loaded| {
        let common: Common = loaded.read()?;
        let log = common.log.check().map_err(SettingsError::BadValue)?;
        Ok((common, read(loaded)?, log))
    };
    Ok(match asked(program, program.command(), &matches, read)? {
        Asked::Work(_, (common, ..)) if asks_for_health(&matches) => {
            Task::CheckHealth(common.rest_api)
        }
        Asked::Work(loaded, (common, settings, log)) => {
            Task::Run(loaded, common, settings, telemetry::init(log)?)
        }
        Asked::Answer(answer) => Task::Tell(answer),
    })
}

/// What a command line asks for that `command` has matched. The settings are read and checked by `read`, also where
/// they are only to be told.
///
/// # Errors
/// Settings that cannot be used.
pub fn asked<S>(
    program: &Program,
    command: Command,
    matches: &ArgMatches,
    read: impl FnOnce(&Loaded) -> Result<S, SettingsError>,
) -> Result<Asked<S>, SettingsError> {
    if let Some(document) = documents::asked(command, matches)? {
        return Ok(Asked::Answer(document));
    }
    let loaded = program.merge(matches, env::vars_os())?;
    let settings = read(&loaded)?;
    if !asks_for_check(matches) {
        return Ok(Asked::Work(loaded, settings));
    }
    for warning in loaded.warnings() {
        print_failure(program.name, warning);
    }
    Ok(Asked::Answer(program.effective(&loaded).into_bytes()))
}

/// Says why a program does not begin, and answers its exit code.
pub fn refuse(program: &Program, cause: &SettingsError) -> ExitCode {
    if let SettingsError::CommandLine(answer) = cause {
        return output::print_usage_and_end(program.name, answer);
    }
    print_failure(program.name, &chain(cause));
    ExitCode::from(BAD_USAGE)
}

/// Says first of all what runs, and what was set about it.
fn announce(program: &Program, loaded: &Loaded) {
    let Program { name, build, .. } = *program;
    let Build {
        version, commit, ..
    } = build;
    let settings = program.changed(loaded);
    info!(version, commit, settings, "{name} starts");
}

/// The exit code for the health of the service that listens here.
fn tell_health(name: &str, address: &Address) -> ExitCode {
    match health_check::check(address) {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) => {
            print_failure(name, &chain(&cause));
            ExitCode::FAILURE
        }
    }
}

fn print_failure(name: &str, what: &str) {
    output::print_error(&format!("{name}: {what}"));
}
