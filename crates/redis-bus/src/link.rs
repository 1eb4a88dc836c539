//! One connection to Redis, the task that drives it, and how long Redis has owed an answer on it.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use redis::{ErrorKind, RedisError, ServerErrorKind, aio::MultiplexedConnection};
use tokio::task::{AbortHandle, JoinSet};

/// A connection; clones share it, and with the last one its task ends.
#[derive(Clone)]
pub(crate) struct Link {
    connection: MultiplexedConnection,
    driver: Arc<Driver>,
    /// Since when something was asked and nothing has been answered.
    silent_since: Arc<Mutex<Option<Instant>>>,
}

/// The task that reads and writes the socket. It ends by itself when the connection does, be it in use or idle.
struct Driver {
    task: AbortHandle,
    /// Holds nothing but the task, and ends it when dropped.
    _owner: JoinSet<()>,
}

impl Link {
    /// A connection that is driven from now on.
    pub(crate) fn new(
        connection: MultiplexedConnection,
        driver: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        let mut owner = JoinSet::new();
        let task = owner.spawn(driver);
        Self {
            connection,
            driver: Arc::new(Driver {
                task,
                _owner: owner,
            }),
            silent_since: Arc::default(),
        }
    }

    /// The connection, to ask something on it.
    pub(crate) fn asking(&self) -> MultiplexedConnection {
        self.silence().get_or_insert_with(Instant::now);
        self.connection.clone()
    }

    /// Notes that Redis has answered, if only with an error.
    pub(crate) fn note_answer(&self) {
        *self.silence() = None;
    }

    /// Whether Redis has owed an answer for so long.
    pub(crate) fn is_silent_for(&self, time: Duration) -> bool {
        self.silence().is_some_and(|since| since.elapsed() >= time)
    }

    /// Whether the connection has ended, as far as this machine knows.
    pub(crate) fn has_ended(&self) -> bool {
        self.driver.task.is_finished()
    }

    /// Whether both are the same connection.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.driver, &other.driver)
    }

    fn silence(&self) -> MutexGuard<'_, Option<Instant>> {
        self.silent_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("has_ended", &self.has_ended())
            .finish_non_exhaustive()
    }
}

/// Whether a connection should be replaced after this error: it broke, its login no longer holds, or
/// its server is no longer the one to write to. A time-out alone is no reason: a frozen Redis goes on where it was.
pub(crate) fn is_of_no_more_use(error: &RedisError) -> bool {
    error.is_unrecoverable_error()
        || matches!(
            error.kind(),
            ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown)
        )
        || matches!(error.code(), Some("NOAUTH" | "WRONGPASS"))
}
