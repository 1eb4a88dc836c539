//! What can be wrong with settings.

use super::{FileError, command_line::FILE_FLAG};
use crate::telemetry::TelemetryError;

/// Settings that cannot be used. Every text names the key and where its value comes from.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The command line is wrong, or asks for `--help` or `--version`.
    #[error(transparent)]
    CommandLine(#[from] clap::Error),
    /// A document that was asked for could not be made.
    #[error("cannot make what was asked for")]
    Document(#[from] std::io::Error),
    /// A file named by flag does not exist.
    #[error("settings file `{path}`, named by --{FILE_FLAG}, does not exist")]
    NoFile {
        /// The file that was named.
        path: String,
    },
    /// A file exists but cannot be read.
    #[error("cannot read settings file `{path}`")]
    BadFile {
        /// The file that was read.
        path: String,
        /// What is wrong with it.
        source: FileError,
    },
    /// A key that means nothing here.
    #[error("unknown key `{key}` in {origin}{hint}")]
    UnknownKey {
        /// The key as given.
        key: String,
        /// Where it was given.
        origin: String,
        /// The nearest known key, as a sentence.
        hint: String,
    },
    /// Something else in this process logs already.
    #[error("cannot set up log output")]
    Log(#[from] TelemetryError),
    /// A value of the wrong kind, or out of its range.
    #[error("bad value: {0}")]
    BadValue(String),
}
