//! Reads the durable queue, no more of it than there is room for.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use protocol::{DeadLetter, DeadLetterReason, Message, dead_letter::Excerpt};
use redis_bus::queue::{Keeper, QueueEntry, QueueReader, Receipt};
use service_kit::{
    backoff::Backoff, occasionally::Occasionally, supervisor::Role, telemetry::chain,
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::{
    consumer_group::ConsumerGroup, dead_letter_writer::Letter, delivery::Held, queue::MemoryQueue,
};

/// How many messages this replica holds for each consumer that may be picked: enough for what it
/// may hold and for as many to follow at once. Without consumers nothing is read.
const HELD_PER_CONSUMER: usize = 256;

/// How much room there should be before reading, so that many come at once.
const READ_AT_LEAST: usize = 64;

/// How often to look for room behind every wake-up.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// How often a failure that lasts is logged.
const WARN_EVERY: Duration = Duration::from_secs(10);

/// The role that reads.
#[derive(Debug)]
pub(crate) struct Reader {
    reader: QueueReader,
    queue: MemoryQueue,
    group: ConsumerGroup,
    letters: mpsc::Sender<Letter>,
    max_deliveries: u64,
    failures: Occasionally,
}

impl Reader {
    pub(crate) fn new(
        reader: QueueReader,
        queue: MemoryQueue,
        group: ConsumerGroup,
        letters: mpsc::Sender<Letter>,
        max_deliveries: u64,
    ) -> Self {
        Self {
            reader,
            queue,
            group,
            letters,
            max_deliveries,
            failures: Occasionally::every(WARN_EVERY),
        }
    }

    /// How many messages to ask for; none until there is room for some.
    fn room(&self) -> usize {
        let held_at_most = self.group.candidates().len() * HELD_PER_CONSUMER;
        let room = self.queue.room(held_at_most);
        if room < READ_AT_LEAST { 0 } else { room }
    }

    /// Reads until cancelled; what was asked for by then is waited for.
    async fn read(&mut self, cancelled: &CancellationToken) {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
        // Before there is any consumer to read for.
        if let Err(cause) = self.reader.create_queue().await {
            debug!(%cause, "cannot create the durable queue yet");
        }
        while !cancelled.is_cancelled() {
            let room = self.room();
            if room == 0 {
                // Running out of time is the slow poll behind the wake-up.
                let _woken = timeout(LOOK_AGAIN, self.queue.has_room()).await;
                continue;
            }
            match self.reader.next(room).await {
                Ok(entries) => {
                    backoff.reset();
                    self.take_in(entries).await;
                }
                Err(cause) => {
                    if let Some(held_back) = self.failures.due() {
                        let cause = chain(&cause);
                        warn!(
                            cause,
                            held_back, "cannot read the durable queue; trying again"
                        );
                    }
                    tokio::select! {
                        () = sleep(backoff.next_wait()) => {}
                        () = cancelled.cancelled() => {}
                    }
                }
            }
        }
    }

    async fn take_in(&self, entries: Vec<(QueueEntry, Receipt)>) {
        let (now, clock) = (Instant::now(), SystemTime::now());
        let mut held = Vec::with_capacity(entries.len());
        let mut exhausted = Vec::new();
        for (entry, receipt) in entries {
            let message = match Message::parse(entry.payload.clone()) {
                Ok(message) => message,
                Err(error) => {
                    let letter = DeadLetter::unfit(Excerpt::of(&entry.payload), &error);
                    // An error means that the writer is gone; the entry is then handed out again.
                    let _sent = self.letters.send(Letter::foreign(letter, receipt)).await;
                    continue;
                }
            };
            // By the clock of Redis, which may not be ours.
            let age = clock
                .duration_since(entry.id.added_at())
                .unwrap_or_default();
            let received = now.checked_sub(age).unwrap_or(now);
            let handed = Held {
                receipt: Some(Arc::new(receipt)),
                deliveries_before: entry.deliveries.saturating_sub(1),
                // Whoever had it before may have died of it.
                goes_alone: entry.deliveries > 1,
                ..Held::new(message, received)
            };
            if entry.deliveries > self.max_deliveries {
                exhausted.push(Held {
                    last_error: format!(
                        "{} readers of the durable queue were handed it and did not finish",
                        entry.deliveries - 1
                    ),
                    ..handed
                });
            } else {
                held.push(handed);
            }
        }
        self.queue.push_handed(held);
        for held in exhausted {
            let delivery = self.queue.push_in_flight(held);
            let letter = Letter::of(delivery, DeadLetterReason::DeliveriesExhausted);
            // An error means that the writer is gone; the delivery then goes back to the queue.
            let _sent = self.letters.send(letter).await;
        }
    }
}

impl Role for Reader {
    async fn run(&mut self, cancelled: CancellationToken) {
        self.read(&cancelled).await;
    }
}

/// The role that keeps alive what was read, for longer than the reader reads.
#[derive(Debug)]
pub(crate) struct KeepAlive(pub(crate) Keeper);

impl Role for KeepAlive {
    async fn run(&mut self, cancelled: CancellationToken) {
        tokio::select! {
            () = self.0.keep() => {}
            () = cancelled.cancelled() => {}
        }
    }
}
