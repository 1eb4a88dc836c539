//! Asking Redis, for probes, whether it is there.

use std::time::Duration;

use crate::Connection;

/// How long Redis may take to answer a probe. Kubernetes waits a second for the probe itself.
const PROBE_TIMEOUT: Duration = Duration::from_millis(500);

impl Connection {
    /// What is wrong with Redis just now, in words: that it does not answer, or not within half a second.
    pub async fn trouble(&self) -> Option<String> {
        match tokio::time::timeout(PROBE_TIMEOUT, self.ping()).await {
            Ok(Ok(())) => None,
            Ok(Err(cause)) => Some(cause.to_string()),
            Err(_) => Some(format!(
                "Redis at {} does not answer within {} ms",
                self.endpoint().at(),
                PROBE_TIMEOUT.as_millis()
            )),
        }
    }
}
