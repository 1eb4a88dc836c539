//! Hears what is published and hands it over.

use std::{sync::Arc, time::Duration};

use protocol::{DeadLetter, Message, MessageError, dead_letter::Excerpt};
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
                let (heard, next) = gather(more, subscription);
                self.hear(heard).await;
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
                Ok(heard) => self.hear(vec![heard?]).await,
                Err(_) => {
                    warn!("Redis did not confirm the end of the subscription in time");
                    return Ok(());
                }
            }
        }
    }

    /// Takes in what was heard.
    ///
    /// # Cancel safety
    /// Not to be cancelled: what it has taken in goes to the dead letters only later, and perhaps after their writer has ended.
    async fn hear(&self, heard: Vec<Heard>) {
        let (mut messages, mut unqueued) = (Vec::with_capacity(heard.len()), Vec::new());
        for heard in heard {
            let unfit = match heard {
                Heard::Message(payload) => match Message::parse(payload.clone()) {
                    Ok(message) => {
                        messages.push(message);
                        continue;
                    }
                    Err(error) => DeadLetter::unfit(Excerpt::of(&payload), &error),
                },
                Heard::TooLarge(payload) => {
                    let bytes = payload.bytes();
                    DeadLetter::unfit(payload, &MessageError::TooLarge { bytes })
                }
                Heard::Unsubscribed => continue,
            };
            unqueued.push(self.queue.receive_unfit(unfit));
        }
        unqueued.extend(self.queue.push(messages));
        for mut unqueued in unqueued {
            let bytes = unqueued.letter().kept_bytes();
            let bytes = u32::try_from(bytes)
                .unwrap_or(UNQUEUED_BYTES)
                .min(UNQUEUED_BYTES);
            // The semaphore is never closed, and the writer outlives the listener. Were it not so, what is
            // dropped here would go back to the queue.
            if let Ok(room) = Arc::clone(&self.unqueued).acquire_many_owned(bytes).await {
                unqueued.set_room(room);
                drop(self.letters.send(Letter::unqueued(unqueued)).await);
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
                self.complain(&cause);
                tokio::select! {
                    () = cancelled.cancelled() => {}
                    () = sleep(backoff.next_wait()) => {}
                }
            }
        }
    }
}
