//! What `GET /status` tells.

use std::{
    num::NonZeroU32,
    time::{Duration, SystemTime},
};

use redis_bus::chunk_queue::{ChunkAccount, ChunkQueue, QueueError};
use serde::Serialize;
use strum::{IntoStaticStr, VariantArray};
use tokio::time::Instant;
use utoipa::ToSchema;

use crate::{
    consumer::{handle::ConsumerHandle, registry::ConsumerGroup, stats::OutcomeCounts},
    intake::{Buffer, subscription_health::SubscriptionHealth},
    leasing::{Leasing, Worker},
    queue::LocalQueue,
};

/// Where the status comes from.
#[derive(Debug, Clone)]
pub(crate) struct Status {
    /// What was heard and is not in the queue yet.
    pub(crate) buffer: Buffer,
    /// What this replica was handed.
    pub(crate) local_queue: LocalQueue,
    pub(crate) queue: ChunkQueue,
    pub(crate) group: ConsumerGroup,
    pub(crate) leasing: Leasing,
    pub(crate) subscription: SubscriptionHealth,
    pub(crate) started: Instant,
}

/// The answer of `GET /status`.
///
/// At every instant received = processed + duplicate + `dead_lettered` + `in_flight` + queued + buffered.
/// The numbers are those of all replicas and consumers together, since the queue began; only `buffered` is this replica's own, and so is all that follows it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StatusBody {
    pub(crate) received: u64,
    pub(crate) processed: u64,
    pub(crate) duplicate: u64,
    pub(crate) dead_lettered: u64,
    pub(crate) in_flight: u64,
    pub(crate) queued: u64,
    pub(crate) buffered: u64,
    /// Whether the group hears the channel.
    pub(crate) subscribed: bool,
    pub(crate) subscription_gaps: u64,
    pub(crate) subscription_gap_seconds: f64,
    consumers: Vec<ConsumerStatus>,
    uptime_seconds: u64,
    pub(crate) version: &'static str,
}

/// One consumer of the group.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConsumerStatus {
    /// Where it is reached, or what it calls itself if it fetches its messages.
    pub(crate) consumer_id: String,
    pub(crate) state: ConsumerState,
    /// How many messages it has been given and not answered yet.
    pub(crate) in_flight: usize,
    /// How many it may hold now: its window.
    pub(crate) limit: usize,
    /// How many it takes in one request.
    pub(crate) max_batch: usize,
    /// How many it says it works on at once; left out when it says nothing of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u32>, minimum = 1, nullable = false)]
    concurrency: Option<NonZeroU32>,
    /// When it joined, RFC 3339.
    since: String,
    /// How many messages it was given in attempts that came to what, since then.
    pub(crate) outcomes: OutcomeCounts,
    /// How often it was left out for a while.
    pub(crate) ejections: u64,
    /// The time within which half of its last 512 requests were answered; null before the first.
    #[schema(required = true)]
    p50_ms: Option<f64>,
    /// The time within which 99 % of them were.
    #[schema(required = true)]
    p99_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    last_error: Option<LastError>,
}

/// What went wrong last with a consumer.
#[derive(Debug, Serialize, ToSchema)]
struct LastError {
    /// When, RFC 3339.
    at: String,
    text: String,
}

impl StatusBody {
    /// The consumers of the group.
    pub(crate) fn consumers(&self) -> &[ConsumerStatus] {
        &self.consumers
    }
}

impl ConsumerStatus {
    /// How many messages it took, processed now or before.
    pub(crate) fn taken(&self) -> u64 {
        self.outcomes.delivered + self.outcomes.duplicate
    }

    pub(crate) fn new(consumer: &ConsumerHandle, state: ConsumerState) -> Self {
        let window = &consumer.window;
        let extract = consumer.stats.read();
        let in_ms = |time: Duration| time.as_secs_f64() * 1000.0;
        Self {
            consumer_id: consumer.id.to_string(),
            state,
            in_flight: window.under_way(),
            limit: window.size(),
            max_batch: window.max_batch(),
            concurrency: window.declared(),
            since: rfc3339(extract.since),
            outcomes: extract.outcomes,
            ejections: extract.ejections,
            p50_ms: extract.p50.map(in_ms),
            p99_ms: extract.p99.map(in_ms),
            last_error: extract.last_error.map(LastError::new),
        }
    }
}

impl ConsumerStatus {
    /// That of a worker that fetches its messages.
    pub(crate) fn fetching(worker: &Worker) -> Self {
        let extract = worker.stats().read();
        Self {
            consumer_id: worker.name().to_owned(),
            state: ConsumerState::Fetching,
            in_flight: worker.held(),
            limit: worker.most(),
            max_batch: worker.most(),
            concurrency: None,
            since: rfc3339(extract.since),
            outcomes: extract.outcomes,
            ejections: 0,
            p50_ms: None,
            p99_ms: None,
            last_error: extract.last_error.map(LastError::new),
        }
    }
}

impl LastError {
    fn new((at, text): (SystemTime, String)) -> Self {
        let at = rfc3339(at);
        Self { at, text }
    }
}

fn rfc3339(at: SystemTime) -> String {
    humantime::format_rfc3339_millis(at).to_string()
}

/// How a consumer is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema, IntoStaticStr, VariantArray)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub(crate) enum ConsumerState {
    /// It is in the list, and given nothing until its health check was answered with 200.
    Joining,
    /// It is given messages.
    Active,
    /// It is left out for a while, because it failed or asked for it.
    Ejected,
    /// It has left and finishes what it was given.
    Draining,
    /// It is no member, and fetches its messages.
    Fetching,
}

impl Status {
    /// How many bytes of messages this group holds.
    pub(crate) fn held_bytes(&self) -> usize {
        self.local_queue.held_bytes() + self.buffer.bytes()
    }

    /// Whether the group hears the channel.
    pub(crate) fn is_subscribed(&self) -> bool {
        self.subscription.subscribed_since().is_some()
    }

    /// The status now.
    pub(crate) async fn read(&self) -> Result<StatusBody, QueueError> {
        let (account, buffered) = self.account().await?;
        Ok(self.with(account, buffered))
    }

    /// The account now, and how much is buffered.
    pub(crate) async fn account(&self) -> Result<(ChunkAccount, u64), QueueError> {
        // First, so that what moves over meanwhile is not left out of both.
        let buffered = u64::try_from(self.buffer.len()).unwrap_or(u64::MAX);
        Ok((self.queue.account().await?, buffered))
    }

    fn consumers(&self) -> Vec<ConsumerStatus> {
        let mut consumers = self.group.states();
        consumers.extend(self.leasing.states());
        consumers
    }

    /// The status with this account.
    pub(crate) fn with(&self, account: ChunkAccount, buffered: u64) -> StatusBody {
        StatusBody {
            received: account.received + buffered,
            processed: account.processed,
            duplicate: account.duplicate,
            dead_lettered: account.dead_lettered,
            in_flight: account.in_flight,
            queued: account.waiting,
            buffered,
            subscribed: self.is_subscribed(),
            subscription_gaps: self.subscription.count(),
            subscription_gap_seconds: self.subscription.total().as_secs_f64(),
            consumers: self.consumers(),
            uptime_seconds: self.started.elapsed().as_secs(),
            version: env!("CARGO_PKG_VERSION"),
        }
    }
}
