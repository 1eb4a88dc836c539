//! Warns of settings of the Redis server that endanger messages, and of messages that nobody would deliver.

use std::time::Duration;

use redis_bus::{
    BusError, Connection,
    queue::DurableQueue,
    server_check::{Danger, dangers},
};
use service_kit::{backoff::Backoff, supervisor::Role};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

/// The role that looks once, as soon as Redis answers.
#[derive(Debug)]
pub(crate) struct ServerChecker {
    pub(crate) connection: Connection,
    pub(crate) is_durable: bool,
    /// The durable queue, whether this group reads it or not.
    pub(crate) queue: DurableQueue,
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
        for danger in found.into_iter().filter(|danger| self.concerns_us(danger)) {
            warn!("{danger}");
        }
    }

    /// Warns of what waits in the durable queue from earlier, when neither this group nor anybody else reads it.
    async fn check_queue(&self) -> Result<(), BusError> {
        let account = self.queue.account().await?;
        let waiting = account.in_flight + account.queued;
        if waiting > 0 && !self.queue.is_read().await? {
            warn!(
                waiting,
                queue = self.queue.key(),
                "{waiting} messages wait in the durable queue, and nobody reads it: this group has its queue in \
                 memory. Run a group with --queue stream or a consumer with --intake pull until it is empty"
            );
        }
        Ok(())
    }

    fn concerns_us(&self, danger: &Danger) -> bool {
        match danger {
            Danger::PubSubLimit => !self.is_durable,
            Danger::NotPersistent => self.is_durable,
            _ => true,
        }
    }
}

impl Role for ServerChecker {
    async fn run(&mut self, cancelled: CancellationToken) {
        tokio::select! {
            () = cancelled.cancelled() => return,
            () = self.check() => {}
        }
        if !self.is_durable
            && let Err(cause) = self.check_queue().await
        {
            debug!(%cause, "cannot see whether messages wait in the durable queue");
        }
        cancelled.cancelled().await;
    }
}
