//! What `GET /status` tells.

use protocol::ConsumerId;
use redis_bus::{
    BusError,
    queue::{DurableQueue, QueueAccount},
};
use serde::Serialize;
use tokio::time::Instant;

use crate::{consumer_group::ConsumerGroup, listener::Gaps, queue::MemoryQueue};

/// Where the status comes from.
#[derive(Debug, Clone)]
pub(crate) struct Status {
    pub(crate) intake: MemoryQueue,
    pub(crate) durable: Option<DurableQueue>,
    pub(crate) group: ConsumerGroup,
    pub(crate) gaps: Gaps,
    pub(crate) started: Instant,
}

/// The answer of `GET /status`.
///
/// At every instant received = processed + duplicate + `dead_lettered` + `in_flight` + queued + buffered.
/// With `--queue stream` the numbers are those of all replicas and consumers together, since the queue
/// began; only `buffered` is this replica's own, and so are the last five.
#[derive(Debug, Serialize)]
pub(crate) struct StatusBody {
    queue: &'static str,
    received: u64,
    processed: u64,
    duplicate: u64,
    dead_lettered: u64,
    in_flight: u64,
    queued: u64,
    buffered: u64,
    subscription_gaps: u64,
    consumers: Vec<ConsumerStatus>,
    uptime_seconds: u64,
    version: &'static str,
}

/// One consumer of the group.
#[derive(Debug, Serialize)]
pub(crate) struct ConsumerStatus {
    pub(crate) consumer_id: ConsumerId,
    pub(crate) state: ConsumerState,
    /// How many messages it has been given and not answered yet.
    pub(crate) in_flight: usize,
    /// How many that may be.
    pub(crate) limit: usize,
    /// How many it takes in one request.
    pub(crate) max_batch: usize,
}

/// How a consumer is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ConsumerState {
    /// It is given messages.
    Active,
    /// It is left out for a while, because it failed or asked for it.
    Ejected,
    /// It has left and finishes what it was given.
    Draining,
}

impl Status {
    /// The status now.
    pub(crate) async fn read(&self) -> Result<StatusBody, BusError> {
        let (queue, account, buffered) = match &self.durable {
            None => ("memory", self.in_memory(), 0),
            Some(durable) => {
                // First, so that what moves over meanwhile is not left out of both.
                let buffered = self.intake.account().unfinished();
                ("stream", durable.account().await?, buffered)
            }
        };
        Ok(StatusBody {
            queue,
            received: account.received + buffered,
            processed: account.processed,
            duplicate: account.duplicate,
            dead_lettered: account.dead_lettered,
            in_flight: account.in_flight,
            queued: account.queued,
            buffered,
            subscription_gaps: self.gaps.count(),
            consumers: self.group.states(),
            uptime_seconds: self.started.elapsed().as_secs(),
            version: env!("CARGO_PKG_VERSION"),
        })
    }

    fn in_memory(&self) -> QueueAccount {
        let account = self.intake.account();
        QueueAccount {
            received: account.received,
            duplicate: account.duplicate,
            processed: account.processed,
            dead_lettered: account.dead_lettered,
            in_flight: account.in_flight,
            queued: account.queued,
        }
    }
}
