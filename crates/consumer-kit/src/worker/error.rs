//! Why a worker does not begin, or does not go on.

use service_kit::settings::SettingsError;
use service_kit::telemetry::chain;

use crate::BoxError;

/// Why a worker does not begin, or does not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// A setting cannot be used; the text names it and says what is allowed.
    #[error("{0}")]
    Setting(String),
    /// The address cannot be listened on.
    #[error(transparent)]
    Bind(BoxError),
    /// Redis is there, but of no use: it is too old, or runs no scripts.
    #[error(transparent)]
    Redis(BoxError),
    /// A background task ended more often than can be by chance.
    #[error("the task `{0}` kept failing; the worker gives up")]
    TaskFailed(String),
    /// A second signal cut the work off.
    #[error("{0}, a second signal: ended at once")]
    Cut(&'static str),
    /// The system, or a library, refuses what every worker needs.
    #[error("{what}")]
    Refused {
        /// What cannot be done.
        what: &'static str,
        /// Why.
        source: BoxError,
    },
}

impl WorkerError {
    /// The variant [`Self::Refused`].
    pub(crate) fn refused<E: Into<BoxError>>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |cause| Self::Refused {
            what,
            source: cause.into(),
        }
    }
}

impl From<SettingsError> for WorkerError {
    fn from(cause: SettingsError) -> Self {
        Self::Setting(chain(&cause))
    }
}
