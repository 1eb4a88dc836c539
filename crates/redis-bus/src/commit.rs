//! The stream `messages:processed`: one entry for each processed message.

use redis::{Pipeline, cmd};

use crate::{BusError, Connection};

/// The fields of one entry, in order.
pub type Entry = Vec<(String, String)>;

/// A handle on the stream; clones share the connection.
#[derive(Debug, Clone)]
pub struct ProcessedStream {
    connection: Connection,
    key: String,
}

impl ProcessedStream {
    /// The stream under `key`.
    #[must_use]
    pub fn new(connection: Connection, key: String) -> Self {
        Self { connection, key }
    }

    /// Appends entries, all in one round trip; answers the stream id of each, or why it was refused.
    ///
    /// # Errors
    /// [`BusError`] when the round trip failed as a whole. Any of the entries may have been appended.
    pub async fn append(
        &self,
        entries: &[Entry],
    ) -> Result<Vec<Result<String, BusError>>, BusError> {
        let mut pipeline = Pipeline::with_capacity(entries.len());
        for entry in entries {
            pipeline.add_command(
                cmd("XADD")
                    .arg(&self.key)
                    .arg("*")
                    .arg(&entry[..])
                    .to_owned(),
            );
        }
        self.connection.pipeline(pipeline.ignore_errors()).await
    }
}
