//! Makes the group follow the list in Redis.

use std::time::Duration;

use redis_bus::{BusError, Endpoint, consumer_watch::ConsumerWatch};
use service_kit::{
    backoff::Backoff, occasionally::Occasionally, supervisor::Role, telemetry::chain,
};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::consumer_group::ConsumerGroup;

/// How often a failure that lasts is logged again.
const WARN_EVERY: Duration = Duration::from_secs(30);

/// The role that reads the list whenever it changes. While Redis is away the group stays as it was.
#[derive(Debug)]
pub(crate) struct Mirror {
    endpoint: Endpoint,
    key: String,
    group: ConsumerGroup,
    failures: Occasionally,
}

impl Mirror {
    pub(crate) fn new(endpoint: Endpoint, key: String, group: ConsumerGroup) -> Self {
        Self {
            endpoint,
            key,
            group,
            failures: Occasionally::every(WARN_EVERY),
        }
    }

    /// Follows the list until the connection ends.
    async fn follow(&self, backoff: &mut Backoff) -> Result<(), BusError> {
        let mut watch = ConsumerWatch::open(&self.endpoint, &self.key).await?;
        loop {
            let members = watch.next().await?;
            backoff.reset();
            self.group.follow(&members.consumers);
        }
    }
}

impl Role for Mirror {
    async fn run(&mut self, cancelled: CancellationToken) {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
        while !cancelled.is_cancelled() {
            tokio::select! {
                () = cancelled.cancelled() => return,
                ended = self.follow(&mut backoff) => if let Err(cause) = ended
                    && let Some(held_back) = self.failures.due()
                {
                    let cause = chain(&cause);
                    warn!(cause, held_back, "cannot read the list of consumers; trying again");
                }
            }
            tokio::select! {
                () = cancelled.cancelled() => {}
                () = sleep(backoff.next_wait()) => {}
            }
        }
    }
}
