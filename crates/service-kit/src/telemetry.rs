//! Log output: text for people, JSON for machines.

mod lines;
mod panics;
mod writer;

use std::{
    env,
    io::{self, IsTerminal},
};

use serde::Deserialize;
use tracing_subscriber::{
    EnvFilter,
    filter::LevelFilter,
    fmt::{self, format::JsonFields},
    layer::SubscriberExt,
    util::{SubscriberInitExt, TryInitError},
};

pub use self::writer::LogGuard;
pub(crate) use self::writer::dropped_lines;
use self::{
    lines::{Lines, Milliseconds},
    writer::LogWriter,
};
use crate::settings::{Setting, ValueKind};

/// The settings of the section `[log]`; every [`crate::settings::Program`] has them.
pub(crate) const SETTINGS: &[Setting] = &[
    Setting {
        key: "log.format",
        flag: "logFormat",
        value_name: "text|json",
        kind: ValueKind::Choice(&["text", "json"]),
        default: Some("text"),
        help: "Log lines for people or for machines",
        heading: "General",
    },
    Setting {
        key: "log.level",
        flag: "logLevel",
        value_name: "LEVEL",
        kind: ValueKind::Text(|level| filter(level).map(drop)),
        default: Some("info"),
        help: "error, warn, info, debug or trace",
        heading: "General",
    },
];

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One readable line an event, coloured on a terminal unless `NO_COLOR` is set.
    Text,
    /// One JSON object an event.
    Json,
}

/// Settings of the section `[log]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogSettings {
    /// How the lines look.
    pub format: LogFormat,
    /// A level (`error`, `warn`, `info`, `debug`, `trace`) or `tracing-subscriber` directives.
    pub level: String,
}

/// Log output that could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TelemetryError {
    /// Something else in this process logs already.
    #[error("cannot set up log output")]
    AlreadySet(#[from] TryInitError),
    /// The system refuses what the log is written with.
    #[error("cannot set up log output to standard output")]
    Output(#[from] io::Error),
}

/// Log output that can be set up.
#[derive(Debug)]
pub struct Log {
    format: LogFormat,
    filter: EnvFilter,
}

impl LogSettings {
    /// Reads the level.
    ///
    /// # Errors
    /// What is expected, for a level that cannot be read.
    pub fn check(&self) -> Result<Log, String> {
        Ok(Log {
            format: self.format,
            filter: filter(&self.level)?,
        })
    }
}

/// What is logged. A word that is no level would be taken for a part of the program to log alone, so it is
/// refused: `part=level` says that.
fn filter(level: &str) -> Result<EnvFilter, String> {
    let is_level = |word: &str| word.contains('=') || word.parse::<LevelFilter>().is_ok();
    let words: Vec<_> = level.split(',').map(str::trim).collect();
    let read = EnvFilter::try_new(level);
    read.ok()
        .filter(|_| words.into_iter().all(is_level))
        .ok_or_else(|| "expected error, warn, info, debug or trace".to_owned())
}

/// Sends log lines to standard output from here on, those of panics among them. The last ones are written when the
/// guard is dropped.
///
/// # Errors
/// [`TelemetryError::AlreadySet`] when called twice in a process; [`TelemetryError::Output`] when there is no
/// descriptor or no thread to write with.
pub fn init(log: Log) -> Result<LogGuard, TelemetryError> {
    let Log { format, filter } = log;
    let writer = LogWriter::start()?;
    let guard = LogGuard(writer.clone());
    let output = writer.clone();
    let output = move || output.clone();
    let registry = tracing_subscriber::registry().with(filter);
    let lines = fmt::format().with_target(false).with_timer(Milliseconds);
    match format {
        LogFormat::Text => {
            let colours = wants_colours();
            let inner = lines.with_ansi(colours);
            let layer = fmt::layer().with_ansi(colours).with_writer(output);
            let layer = layer.fmt_fields(lines::text_fields());
            registry
                .with(layer.event_format(Lines { format, inner }))
                .try_init()?;
        }
        LogFormat::Json => {
            let inner = lines.json().flatten_event(true);
            let layer = fmt::layer().fmt_fields(JsonFields::new());
            let layer = layer.with_writer(output);
            registry
                .with(layer.event_format(Lines { format, inner }))
                .try_init()?;
        }
    }
    panics::log_to(writer);
    Ok(guard)
}

/// Whether a person looks at the log who wants colours: <https://no-color.org>.
fn wants_colours() -> bool {
    let is_unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    io::stdout().is_terminal() && !is_unwanted
}

/// An error with the whole chain of its causes, for a log field.
#[must_use]
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        // Some libraries repeat the cause in their own text.
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}
