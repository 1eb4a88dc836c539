//! Hears what is published and hands it over.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use protocol::{DeadLetter, DeadLetterReason, Message};
use redis_bus::{
    BusError, Endpoint,
    subscription::{Heard, Subscription},
};
use service_kit::{
    backoff::Backoff, occasionally::Occasionally, supervisor::Role, telemetry::chain,
};
use tokio::{
    sync::{Semaphore, mpsc},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{dead_letter_writer::Letter, queue::MemoryQueue};

/// How many bytes of what could not be queued may wait to be written to the dead letters. Beyond that
/// the listener stops reading, and Redis's output buffer fills instead.
const UNQUEUED_BYTES: u32 = 16 << 20;

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
    queue: MemoryQueue,
    letters: mpsc::Sender<Letter>,
    unqueued: Arc<Semaphore>,
    failures: Occasionally,
    /// Since when nothing has been heard for lack of a subscription.
    gap: Option<Instant>,
}

impl Listener {
    pub(crate) fn new(
        endpoint: Endpoint,
        channel: String,
        queue: MemoryQueue,
        letters: mpsc::Sender<Letter>,
    ) -> Self {
        let unqueued = Arc::new(Semaphore::new(
            usize::try_from(UNQUEUED_BYTES).unwrap_or(usize::MAX),
        ));
        let failures = Occasionally::every(WARN_EVERY);
        Self {
            endpoint,
            channel,
            queue,
            letters,
            unqueued,
            failures,
            gap: None,
        }
    }

    /// Subscribes, and hears until the subscription ends or `cancelled`.
    async fn listen(
        &mut self,
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
        if let Some(since) = self.gap.take() {
            let gap_ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
            warn!(
                gap_ms,
                "the subscription was interrupted: what was published meanwhile was not heard"
            );
        }
        let ended = tokio::select! {
            ended = self.hear_all(&mut subscription) => ended,
            () = cancelled.cancelled() => self.say_farewell(&mut subscription).await,
        };
        self.gap = Some(Instant::now());
        ended
    }

    /// Hears until the subscription ends.
    ///
    /// # Cancel safety
    /// Safe while there is room for what is heard; else one payload waits for room here and is lost.
    async fn hear_all(&self, subscription: &mut Subscription) -> Result<(), BusError> {
        loop {
            let mut heard = Some(subscription.next().await?);
            while let Some(next) = heard {
                match next {
                    Heard::Message(payload) => self.hear(payload).await,
                    Heard::Unsubscribed => return Ok(()),
                }
                heard = subscription.next_buffered()?;
            }
        }
    }

    /// Unsubscribes and hears what Redis had sent by then: it counts as delivered there.
    async fn say_farewell(&self, subscription: &mut Subscription) -> Result<(), BusError> {
        subscription.unsubscribe().await?;
        if timeout(FAREWELL_TIMEOUT, self.hear_all(subscription))
            .await
            .is_err()
        {
            warn!("Redis did not confirm the end of the subscription in time");
        }
        Ok(())
    }

    /// Takes in one payload.
    async fn hear(&self, payload: Bytes) {
        let letter = match Message::parse(payload.clone()) {
            Ok(message) => match self.queue.push(&message) {
                Ok(()) => return,
                Err(full) => {
                    DeadLetter::new(&message, DeadLetterReason::BufferFull, 0, &full.to_string())
                }
            },
            Err(error) => {
                self.queue.receive_unfit();
                DeadLetter::unfit(&payload, &error)
            }
        };
        let bytes = u32::try_from(letter.kept_bytes())
            .unwrap_or(UNQUEUED_BYTES)
            .min(UNQUEUED_BYTES);
        // Neither fails: the semaphore is never closed, and the writer outlives the listener.
        if let Ok(room) = Arc::clone(&self.unqueued).acquire_many_owned(bytes).await {
            let _sent = self.letters.send(Letter::unqueued(letter, room)).await;
        }
    }

    fn complain(&self, cause: &BusError) {
        if let Some(held_back) = self.failures.due() {
            let cause = chain(cause);
            warn!(
                cause,
                held_back,
                "cannot listen to Redis; trying again. If it is not running, start it (redis-server, \
                 or docker run -p 6379:6379 redis:7); if it is elsewhere, say where with \
                 --redisServerHost, --redisServerPort or --redisUrl"
            );
        }
    }
}

impl Role for Listener {
    async fn run(&mut self, cancelled: CancellationToken) {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
        while !cancelled.is_cancelled() {
            if let Err(cause) = self.listen(&mut backoff, &cancelled).await {
                self.complain(&cause);
                tokio::select! {
                    () = cancelled.cancelled() => {}
                    () = sleep(backoff.next_wait()) => {}
                }
            }
        }
    }
}
