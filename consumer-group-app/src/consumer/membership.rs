//! Makes the group follow the list in Redis.

use std::time::Duration;

use protocol::ConsumerId;
use redis_bus::{BusError, Endpoint, consumer_watch::ConsumerWatch};
use service_kit::{
    backoff::Backoff, log_throttle::LogThrottle, supervisor::Role, telemetry::chain,
};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::consumer::{registry::ConsumerGroup, sweeps::Sweeps};

/// How often a failure that lasts is logged again.
const WARN_EVERY: Duration = Duration::from_secs(30);

/// The role that reads the list whenever it changes. While Redis is away the group stays as it was.
///
/// Whoever else writes the list may not know how many consumers the group may have: of a longer list the
/// first ones count.
#[derive(Debug)]
pub(crate) struct MembershipFollower {
    endpoint: Endpoint,
    key: String,
    group: ConsumerGroup,
    sweeps: Sweeps,
    /// How many consumers the group may have.
    capacity: usize,
    failures: LogThrottle,
    overflows: LogThrottle,
}

impl MembershipFollower {
    pub(crate) fn new(
        endpoint: Endpoint,
        key: String,
        group: ConsumerGroup,
        sweeps: Sweeps,
        capacity: usize,
    ) -> Self {
        Self {
            endpoint,
            key,
            group,
            sweeps,
            capacity,
            failures: LogThrottle::every(WARN_EVERY),
            overflows: LogThrottle::every(WARN_EVERY),
        }
    }

    /// Follows the list until the connection ends.
    async fn follow(&self, backoff: &mut Backoff) -> Result<(), BusError> {
        let mut watch = ConsumerWatch::open(&self.endpoint, &self.key).await?;
        loop {
            let members = watch.next().await?;
            backoff.reset();
            self.group.follow(self.first(&members.consumers));
        }
    }

    /// As many of the list as the group may have, from its start.
    fn first<'a>(&self, list: &'a [ConsumerId]) -> &'a [ConsumerId] {
        let Some((first, _)) = list.split_at_checked(self.capacity) else {
            return list;
        };
        if first.len() < list.len()
            && let Some(suppressed) = self.overflows.due()
        {
            let (listed, capacity) = (list.len(), self.capacity);
            warn!(
                listed,
                capacity,
                suppressed,
                "the list holds more consumers than --maxConsumerGroupSize; only the first ones are given messages"
            );
            // Those that are dead make room for others.
            self.sweeps.want();
        }
        first
    }
}

impl Role for MembershipFollower {
    async fn run(&mut self, cancelled: CancellationToken) {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
        while !cancelled.is_cancelled() {
            tokio::select! {
                () = cancelled.cancelled() => return,
                ended = self.follow(&mut backoff) => if let Err(cause) = ended
                    && let Some(suppressed) = self.failures.due()
                {
                    let cause = chain(&cause);
                    warn!(cause, suppressed, "cannot read the list of consumers; trying again");
                }
            }
            backoff.wait(&cancelled).await;
        }
    }
}
