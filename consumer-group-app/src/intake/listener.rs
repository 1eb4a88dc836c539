//! Hears what is published and hands it over.

use std::time::Duration;

use protocol::Message;
use redis_bus::{
    BusError, Endpoint,
    subscription::{Heard, Subscription},
};
use service_kit::{
    backoff::Backoff, log_throttle::LogThrottle, supervisor::Role, telemetry::chain,
};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::intake::{Buffer, Received, subscription_health::SubscriptionHealth};

/// How many messages are taken in at once.
const BATCH: usize = 256;

/// How long hearing the rest may take after unsubscribing.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(2);

/// How often a failure that lasts is logged again.
const WARN_EVERY: Duration = Duration::from_secs(10);

/// The role that listens. It parses the id, counts and hands over; it waits for nothing else, because
/// Redis cuts off a subscriber that falls behind, and what it had for it is lost.
#[derive(Debug)]
pub(crate) struct Listener {
    endpoint: Endpoint,
    channel: String,
    buffer: Buffer,
    failures: LogThrottle,
    is_full: LogThrottle,
    subscription: SubscriptionHealth,
}

impl Listener {
    pub(crate) fn new(
        endpoint: Endpoint,
        channel: String,
        buffer: Buffer,
        subscription: SubscriptionHealth,
    ) -> Self {
        let failures = LogThrottle::every(WARN_EVERY);
        let is_full = LogThrottle::every(WARN_EVERY);
        Self {
            endpoint,
            channel,
            buffer,
            failures,
            is_full,
            subscription,
        }
    }

    /// Subscribes, and hears until the subscription ends or `cancelled`.
    async fn listen(
        &self,
        backoff: &mut Backoff,
        cancelled: &CancellationToken,
    ) -> Result<(), BusError> {
        let mut subscription = tokio::select! {
            opened = Subscription::open(&self.endpoint, &self.channel) => opened?,
            () = cancelled.cancelled() => return Ok(()),
        };
        backoff.reset();
        info!(
            channel = self.channel,
            redis = self.endpoint.at(),
            "subscribed"
        );
        if let Some(gap) = self.subscription.subscribed() {
            let gap_ms = u64::try_from(gap.as_millis()).unwrap_or(u64::MAX);
            warn!(
                gap_ms,
                "the subscription was interrupted: what was published meanwhile was not heard"
            );
        }
        let ended = self.listen_until(&mut subscription, cancelled).await;
        match &ended {
            Ok(()) => self.subscription.ended(),
            Err(_) => self.subscription.interrupted(),
        }
        ended?;
        self.say_farewell(&mut subscription).await
    }

    /// Hears until `cancelled`; what was read by then is heard to the end.
    async fn listen_until(
        &self,
        subscription: &mut Subscription,
        cancelled: &CancellationToken,
    ) -> Result<(), BusError> {
        loop {
            tokio::select! {
                () = self.has_room() => {}
                () = cancelled.cancelled() => return Ok(()),
            }
            let heard = tokio::select! {
                heard = subscription.next() => heard?,
                () = cancelled.cancelled() => return Ok(()),
            };
            let mut more = Some(heard);
            while more.is_some() {
                let (heard, next) = gather(more, subscription);
                self.buffer.push(received(heard));
                more = next?;
            }
        }
    }

    /// Waits while the buffer is full: what is not read waits in Redis, as long as that lets it.
    async fn has_room(&self) {
        let buffer = &self.buffer;
        if buffer.is_full() {
            if let Some(suppressed) = self.is_full.due() {
                let (buffered, bytes) = (buffer.len(), buffer.bytes());
                warn!(
                    buffered,
                    bytes,
                    suppressed,
                    "the buffer is full: no more is read from the channel until the queue in Redis takes \
                     messages again. Should Redis end the subscription meanwhile, that is counted as a gap"
                );
            }
            buffer.has_room().await;
        }
    }

    /// Unsubscribes and hears what Redis had sent by then: it counts as delivered there.
    async fn say_farewell(&self, subscription: &mut Subscription) -> Result<(), BusError> {
        subscription.unsubscribe().await?;
        let give_up = Instant::now() + FAREWELL_TIMEOUT;
        loop {
            match timeout_at(give_up, subscription.next()).await {
                Ok(Ok(Heard::Unsubscribed)) => return Ok(()),
                Ok(heard) => self.buffer.push(received(vec![heard?])),
                Err(_) => {
                    warn!("Redis did not confirm the end of the subscription in time");
                    return Ok(());
                }
            }
        }
    }

    fn log_failure(&self, cause: &BusError) {
        if let Some(suppressed) = self.failures.due() {
            let cause = chain(cause);
            warn!(
                cause,
                suppressed,
                "cannot listen to Redis; trying again. If it is not running, start it (redis-server, \
                 or docker run -p 6379:6379 redis:7); if it is elsewhere, say where with \
                 --redisServerHost, --redisServerPort or --redisUrl"
            );
        }
    }
}

/// What was heard, as it goes on to the queue.
fn received(heard: Vec<Heard>) -> Vec<Received> {
    let now = Instant::now();
    let received = heard.into_iter().filter_map(|heard| match heard {
        Heard::Message(payload) => Some(match Message::check(&payload) {
            Ok(id) => Received::message(payload, &id, now),
            Err(_) => Received::malformed(payload, now),
        }),
        Heard::TooLarge(payload) => Some(Received::too_large(&payload, now)),
        Heard::Unsubscribed => None,
    });
    received.collect()
}

/// Takes what was heard already, up to a batch, and the next thing heard, if there is more.
fn gather(
    first: Option<Heard>,
    subscription: &mut Subscription,
) -> (Vec<Heard>, Result<Option<Heard>, BusError>) {
    let mut all = Vec::new();
    let mut next = Ok(first);
    while let Ok(Some(heard)) = next {
        all.push(heard);
        next = subscription.next_buffered();
        if all.len() == BATCH {
            break;
        }
    }
    (all, next)
}

impl Role for Listener {
    async fn run(&mut self, cancelled: CancellationToken) {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
        while !cancelled.is_cancelled() {
            if let Err(cause) = self.listen(&mut backoff, &cancelled).await {
                self.log_failure(&cause);
                backoff.wait(&cancelled).await;
            }
        }
    }
}
