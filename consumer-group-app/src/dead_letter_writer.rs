//! Writes what the group gave up on to the stream of dead letters.

use std::time::Duration;

use protocol::{DeadLetter, DeadLetterReason};
use redis_bus::{BusError, dead_letters::FailedStream};
use service_kit::{
    backoff::Backoff, batches::next_batch, occasionally::Occasionally, supervisor::Role,
    telemetry::chain,
};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    time::sleep,
};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::{delivery::Delivery, queue::MemoryQueue};

/// How many letters may wait to be written; their bytes are bounded by where they come from.
pub(crate) const WAITING: usize = 4096;

/// The most letters of one round trip.
const BATCH: usize = 256;

/// How often what is given up, and what cannot be written, is logged.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// A dead letter on its way to the stream.
#[derive(Debug)]
pub(crate) struct Letter {
    letter: DeadLetter,
    origin: Origin,
}

/// Where a letter comes from, and what holds its room until it is written.
#[derive(Debug)]
enum Origin {
    /// It was in the queue.
    Queue(Delivery),
    /// It never was: it did not fit, or is no message.
    Listener(OwnedSemaphorePermit),
}

impl Letter {
    /// A delivery that was given up.
    pub(crate) fn of(delivery: Delivery, reason: DeadLetterReason) -> Self {
        let letter = delivery.held.to_dead_letter(reason);
        Self {
            letter,
            origin: Origin::Queue(delivery),
        }
    }

    /// Something received that was never queued; `room` is given free once it is written.
    pub(crate) fn unqueued(letter: DeadLetter, room: OwnedSemaphorePermit) -> Self {
        Self {
            letter,
            origin: Origin::Listener(room),
        }
    }
}

/// The role that writes dead letters, and keeps trying while Redis does not take them.
#[derive(Debug)]
pub(crate) struct DeadLetterWriter {
    stream: FailedStream,
    queue: MemoryQueue,
    waiting: mpsc::Receiver<Letter>,
    given_up: Occasionally,
    unwritten: Occasionally,
}

impl DeadLetterWriter {
    pub(crate) fn new(
        stream: FailedStream,
        queue: MemoryQueue,
        waiting: mpsc::Receiver<Letter>,
    ) -> Self {
        let [given_up, unwritten] = [(); 2].map(|()| Occasionally::every(LOG_EVERY));
        Self {
            stream,
            queue,
            waiting,
            given_up,
            unwritten,
        }
    }

    /// Writes a batch, again and again until all of it is written.
    async fn write(&self, mut batch: Vec<Letter>) {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
        loop {
            let letters = batch.iter().map(|letter| &letter.letter);
            let failure = match self.stream.append(letters).await {
                Ok(results) => {
                    let mut failure = None;
                    let mut left = Vec::new();
                    for (letter, result) in batch.into_iter().zip(results) {
                        match result {
                            Ok(()) => self.finish(letter),
                            Err(cause) => {
                                failure = Some(cause);
                                left.push(letter);
                            }
                        }
                    }
                    batch = left;
                    failure
                }
                Err(cause) => Some(cause),
            };
            let Some(cause) = failure else { return };
            self.complain(&cause, batch.len());
            sleep(backoff.next_wait()).await;
        }
    }

    fn finish(&self, letter: Letter) {
        if let Some(held_back) = self.given_up.due() {
            let reason = letter.letter.reason().as_str();
            let cause = letter.letter.last_error();
            warn!(
                reason,
                cause, held_back, "a message went to the dead letters"
            );
        }
        match letter.origin {
            Origin::Queue(delivery) => delivery.dead_lettered(),
            Origin::Listener(_room) => self.queue.dead_lettered_unqueued(),
        }
    }

    fn complain(&self, cause: &BusError, letters: usize) {
        if let Some(held_back) = self.unwritten.due() {
            let cause = chain(cause);
            error!(
                cause,
                letters, held_back, "cannot write dead letters; trying again"
            );
        }
    }
}

impl Role for DeadLetterWriter {
    /// After cancellation it writes what still waits, then ends.
    async fn run(&mut self, cancelled: CancellationToken) {
        loop {
            let batch = next_batch(&mut self.waiting, BATCH, &cancelled).await;
            if batch.is_empty() {
                return;
            }
            self.write(batch).await;
        }
    }
}
