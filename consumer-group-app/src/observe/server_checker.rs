//! Warns of settings of the Redis server that endanger messages.

use std::time::Duration;

use redis_bus::{Connection, server_check::dangers};
use service_kit::{backoff::Backoff, supervisor::Role};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

/// The role that looks once, as soon as Redis answers.
#[derive(Debug)]
pub(crate) struct ServerChecker {
    pub(crate) connection: Connection,
}

impl ServerChecker {
    async fn check(&self) {
        let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(10));
        let found = loop {
            match dangers(&self.connection).await {
                Ok(found) => break found,
                Err(cause) if cause.code().is_some() => {
                    debug!(%cause, "Redis does not tell about its settings");
                    return;
                }
                Err(_) => sleep(backoff.next_wait()).await,
            }
        };
        for danger in found {
            warn!("{danger}");
        }
    }
}

impl Role for ServerChecker {
    async fn run(&mut self, cancelled: CancellationToken) {
        tokio::select! {
            () = cancelled.cancelled() => return,
            () = self.check() => {}
        }
        cancelled.cancelled().await;
    }
}
