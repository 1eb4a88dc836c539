//! Publishing, for tools: services only listen.

use bytes::Bytes;
use redis::{Pipeline, cmd};

use crate::{BusError, Connection};

/// A handle on the Pub/Sub channel; clones share the connection.
#[derive(Debug, Clone)]
pub struct PublishedChannel {
    connection: Connection,
    name: String,
}

impl PublishedChannel {
    /// The channel of that name.
    #[must_use]
    pub fn new(connection: Connection, name: String) -> Self {
        Self { connection, name }
    }

    /// Publishes payloads in one round trip; answers how many subscribers Redis handed each one to.
    ///
    /// # Errors
    /// [`BusError`] when the round trip or any of the commands failed. Any of the payloads may have
    /// been published.
    pub async fn publish(&self, payloads: &[Bytes]) -> Result<Vec<u64>, BusError> {
        let mut pipeline = Pipeline::with_capacity(payloads.len());
        for payload in payloads {
            pipeline.add_command(cmd("PUBLISH").arg(&self.name).arg(&payload[..]).to_owned());
        }
        let answers = self.connection.pipeline(pipeline.ignore_errors()).await?;
        answers.into_iter().collect()
    }
}
