//! The stream `messages:failed`: what the group gave up on.

use protocol::DeadLetter;
use redis::{Pipeline, cmd};

use crate::{BusError, Connection};

/// A handle on the stream; clones share the connection.
#[derive(Debug, Clone)]
pub struct FailedStream {
    connection: Connection,
    key: String,
}

impl FailedStream {
    /// The stream under `key`.
    #[must_use]
    pub fn new(connection: Connection, key: String) -> Self {
        Self { connection, key }
    }

    /// Appends dead letters, all in one round trip; answers for each whether it was taken.
    ///
    /// # Errors
    /// [`BusError`] when the round trip failed as a whole. Any of them may have been appended.
    pub async fn append<'a>(
        &self,
        letters: impl IntoIterator<Item = &'a DeadLetter>,
    ) -> Result<Vec<Result<(), BusError>>, BusError> {
        let mut pipeline = Pipeline::new();
        for letter in letters {
            let mut command = cmd("XADD");
            command.arg(&self.key).arg("*");
            for (name, value) in letter.fields() {
                command.arg(name).arg(&value[..]);
            }
            pipeline.add_command(command);
        }
        self.connection.pipeline(pipeline.ignore_errors()).await
    }
}
