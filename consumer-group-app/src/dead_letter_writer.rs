//! Writes what the group gave up on to the stream of dead letters.

use std::{sync::Arc, time::Duration};

use protocol::{DeadLetter, DeadLetterReason};
use redis_bus::{
    BusError,
    dead_letters::{Burial, Buried, FailedStream},
    queue::{EntryId, Receipt},
};
use service_kit::{
    backoff::Backoff, batches::next_batch, metrics::IntCounterVec, occasionally::Occasionally,
    supervisor::Role, telemetry::chain,
};
use tokio::{sync::mpsc, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::{
    delivery::{Delivery, Ending},
    queue::{MemoryQueue, Unqueued},
};

/// How many letters may wait to be written; their bytes are bounded by where they come from.
pub(crate) const WAITING: usize = 4096;

/// The most letters of one batch.
const BATCH: usize = 256;

/// How often what is given up, and what cannot be written, is logged.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// A dead letter on its way to the stream. One that is dropped instead of written comes again: its origin
/// sees to it.
#[derive(Debug)]
pub(crate) struct Letter {
    letter: DeadLetter,
    origin: Origin,
}

/// Where a letter comes from, and what owns it until it is written.
#[derive(Debug)]
enum Origin {
    /// It was in a queue.
    Queue(Delivery),
    /// It never was: it did not fit, or is no message.
    Listener(Unqueued),
    /// It stands in the durable queue and is no message. Somebody else put it there.
    Foreign(Arc<Receipt>),
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

    /// Something received that was never queued.
    pub(crate) fn unqueued(unqueued: Unqueued) -> Self {
        let letter = unqueued.letter().clone();
        let origin = Origin::Listener(unqueued);
        Self { letter, origin }
    }

    /// What stands in the durable queue and is no message.
    pub(crate) fn foreign(letter: DeadLetter, receipt: Receipt) -> Self {
        Self {
            letter,
            origin: Origin::Foreign(Arc::new(receipt)),
        }
    }

    fn queued(&self) -> Option<&EntryId> {
        match &self.origin {
            Origin::Queue(delivery) => delivery.held.receipt.as_deref().map(Receipt::entry),
            Origin::Listener(_) => None,
            Origin::Foreign(receipt) => Some(receipt.entry()),
        }
    }
}

/// The role that writes dead letters, and keeps trying while Redis does not take them.
#[derive(Debug)]
pub(crate) struct DeadLetterWriter {
    stream: FailedStream,
    /// Where what the listener could not queue goes back to when it is dropped.
    intake: MemoryQueue,
    waiting: mpsc::Receiver<Letter>,
    /// How many were written, by reason.
    written: IntCounterVec,
    given_up: Occasionally,
    unwritten: Occasionally,
}

impl DeadLetterWriter {
    pub(crate) fn new(
        stream: FailedStream,
        intake: MemoryQueue,
        waiting: mpsc::Receiver<Letter>,
        written: IntCounterVec,
    ) -> Self {
        let [given_up, unwritten] = [(); 2].map(|()| Occasionally::every(LOG_EVERY));
        Self {
            stream,
            intake,
            waiting,
            written,
            given_up,
            unwritten,
        }
    }

    /// What was received, not queued, and dropped by whoever had it, such as this role when it panicked.
    fn given_back(&self) -> Vec<Letter> {
        let again = self.intake.take_unqueued(BATCH).into_iter();
        again.map(Letter::unqueued).collect()
    }

    /// Writes a batch, again and again until all of it is written.
    async fn write(&self, mut batch: Vec<Letter>) {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
        let mut is_first_try = true;
        loop {
            let burials: Vec<_> = batch
                .iter()
                .map(|letter| Burial {
                    letter: &letter.letter,
                    queued: letter.queued(),
                })
                .collect();
            let results = self.stream.bury(&burials).await;
            let mut failure = None;
            let mut left = Vec::new();
            for (letter, result) in batch.into_iter().zip(results) {
                match result {
                    // What an earlier try wrote without our knowing it is ours.
                    Ok(Buried::Duplicate) if !is_first_try => {
                        self.finish(letter, Buried::Written);
                    }
                    Ok(buried) => self.finish(letter, buried),
                    Err(cause) => {
                        failure = Some(cause);
                        left.push(letter);
                    }
                }
            }
            let Some(cause) = failure else { return };
            batch = left;
            is_first_try = false;
            self.complain(&cause, batch.len());
            sleep(backoff.next_wait()).await;
        }
    }

    fn finish(&self, letter: Letter, buried: Buried) {
        let ending = match buried {
            Buried::Written => {
                let reason = letter.letter.reason().as_str();
                self.written.with_label_values(&[reason]).inc();
                self.tell(&letter.letter);
                Ending::DeadLettered
            }
            Buried::Processed => Ending::Processed,
            Buried::Duplicate => Ending::Duplicate,
            Buried::Gone => Ending::Elsewhere,
        };
        match (letter.origin, ending) {
            (Origin::Queue(delivery), ending) => delivery.finish(ending),
            // It was processed, but not because this one was heard.
            (Origin::Listener(unqueued), Ending::Processed) => {
                unqueued.finish(Ending::Duplicate);
            }
            (Origin::Listener(unqueued), ending) => unqueued.finish(ending),
            (Origin::Foreign(_), _) => {}
        }
    }

    fn tell(&self, letter: &DeadLetter) {
        if let Some(held_back) = self.given_up.due() {
            let reason = letter.reason().as_str();
            let cause = letter.last_error();
            warn!(
                reason,
                cause, held_back, "a message went to the dead letters"
            );
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
            let mut batch = self.given_back();
            if batch.is_empty() {
                tokio::select! {
                    biased;
                    next = next_batch(&mut self.waiting, BATCH, &cancelled) => batch = next,
                    () = self.intake.unqueued() => continue,
                }
            }
            if batch.is_empty() {
                // What was given back meanwhile is the last.
                batch = self.given_back();
            }
            if batch.is_empty() {
                return;
            }
            self.write(batch).await;
        }
    }
}
