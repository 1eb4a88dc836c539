//! What can go wrong between a service and Redis.

use std::io;

use redis::RedisError;

/// A failure of something said to Redis.
///
/// Only [`BusError::Refused`] is an answer; in all other cases a command may have been carried out.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum BusError {
    /// A text that is no URL of a Redis. It is not shown, because it may hold a password.
    #[error("{0}")]
    BadUrl(&'static str),
    /// No connection, a broken one, or no answer in time.
    #[error("cannot reach Redis at {at}")]
    Unreachable {
        /// Address, without user and password.
        at: String,
        /// What the connection or the system said.
        source: RedisError,
    },
    /// Redis answered that it will not.
    #[error("Redis at {at} refused a command")]
    Refused {
        /// Address, without user and password.
        at: String,
        /// Redis's own words.
        source: RedisError,
    },
}

impl BusError {
    /// The first word of Redis's own answer, such as `NOGROUP` or `OOM`, when it refused.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { source, .. } => source.code(),
            Self::BadUrl(_) | Self::Unreachable { .. } => None,
        }
    }

    /// Whether there was no answer in time.
    pub(crate) fn is_timeout(&self) -> bool {
        matches!(self, Self::Unreachable { source, .. } if source.is_timeout())
    }

    pub(crate) fn new(at: &str, source: RedisError) -> Self {
        let at = at.to_owned();
        if source.is_io_error() || source.is_connection_dropped() {
            Self::Unreachable { at, source }
        } else {
            Self::Refused { at, source }
        }
    }

    pub(crate) fn io(at: &str, cause: io::Error) -> Self {
        Self::Unreachable {
            at: at.to_owned(),
            source: cause.into(),
        }
    }

    pub(crate) fn timed_out(at: &str, what: &'static str) -> Self {
        Self::io(at, io::Error::new(io::ErrorKind::TimedOut, what))
    }
}
