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
    time::{Instant, sleep, timeout_at},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{dead_letter_writer::Letter, gaps::Gaps, queue::MemoryQueue};

/// How many bytes of what could not be queued may wait to be written to the dead letters. Beyond that
/// the listener stops reading, and Redis's output buffer fills instead.
const UNQUEUED_BYTES: u32 = 16 << 20;

/// How many messages are taken in at once.
const BATCH: usize = 256;

/// The last error of a message that could not be queued.
const BUFFER_FULL: &str = "the buffer was full";

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
    gaps: Gaps,
}

impl Listener {
    pub(crate) fn new(
        endpoint: Endpoint,
        channel: String,
        queue: MemoryQueue,
        letters: mpsc::Sender<Letter>,
        gaps: Gaps,
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
            gaps,
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
        if let Some(gap) = self.gaps.subscribed() {
            let gap_ms = u64::try_from(gap.as_millis()).unwrap_or(u64::MAX);
            warn!(
                gap_ms,
                "the subscription was interrupted: what was published meanwhile was not heard"
            );
        }
        let ended = self.hear_until(&mut subscription, cancelled).await;
        match &ended {
            Ok(()) => self.gaps.ended(),
            Err(_) => self.gaps.interrupted(),
        }
        ended?;
        self.say_farewell(&mut subscription).await
    }

    /// Hears until `cancelled`; what was read by then is heard to the end.
    async fn hear_until(
        &self,
        subscription: &mut Subscription,
        cancelled: &CancellationToken,
    ) -> Result<(), BusError> {
        loop {
            let heard = tokio::select! {
                heard = subscription.next() => heard?,
                () = cancelled.cancelled() => return Ok(()),
            };
            let mut more = Some(heard);
            while more.is_some() {
                let (payloads, next) = gather(more, subscription);
                self.hear(payloads).await;
                more = next?;
            }
        }
    }

    /// Unsubscribes and hears what Redis had sent by then: it counts as delivered there.
    async fn say_farewell(&self, subscription: &mut Subscription) -> Result<(), BusError> {
        subscription.unsubscribe().await?;
        let give_up = Instant::now() + FAREWELL_TIMEOUT;
        loop {
            match timeout_at(give_up, subscription.next()).await {
                Ok(Ok(Heard::Unsubscribed)) => return Ok(()),
                Ok(heard) => self.hear(payload(heard?).into_iter().collect()).await,
                Err(_) => {
                    warn!("Redis did not confirm the end of the subscription in time");
                    return Ok(());
                }
            }
        }
    }

    /// Takes in payloads. Not to be cancelled: what it waits with would be lost.
    async fn hear(&self, payloads: Vec<Bytes>) {
        let (mut messages, mut letters) = (Vec::with_capacity(payloads.len()), Vec::new());
        for payload in payloads {
            match Message::parse(payload.clone()) {
                Ok(message) => messages.push(message),
                Err(error) => {
                    self.queue.receive_unfit();
                    letters.push(DeadLetter::unfit(&payload, &error));
                }
            }
        }
        let refused = self.queue.push(messages);
        let full = |message| DeadLetter::new(message, DeadLetterReason::BufferFull, 0, BUFFER_FULL);
        letters.extend(refused.iter().map(full));
        for letter in letters {
            let bytes = u32::try_from(letter.kept_bytes())
                .unwrap_or(UNQUEUED_BYTES)
                .min(UNQUEUED_BYTES);
            // Neither fails: the semaphore is never closed, and the writer outlives the listener.
            if let Ok(room) = Arc::clone(&self.unqueued).acquire_many_owned(bytes).await {
                let _sent = self.letters.send(Letter::unqueued(letter, room)).await;
            }
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

/// Takes what was heard already, up to a batch, and the next thing heard, if there is more.
fn gather(
    first: Option<Heard>,
    subscription: &mut Subscription,
) -> (Vec<Bytes>, Result<Option<Heard>, BusError>) {
    let mut payloads = Vec::new();
    let mut next = Ok(first);
    while let Ok(Some(heard)) = next {
        payloads.extend(payload(heard));
        next = subscription.next_buffered();
        if payloads.len() == BATCH {
            break;
        }
    }
    (payloads, next)
}

fn payload(heard: Heard) -> Option<Bytes> {
    match heard {
        Heard::Message(payload) => Some(payload),
        Heard::Unsubscribed => None,
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
