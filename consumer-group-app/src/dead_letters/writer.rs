//! Writes what the group gave up on to the stream of dead letters.

use std::{collections::HashMap, error::Error, time::Duration};

use protocol::{DeadLetter, DeadLetterReason, MessageId, QueueIdentity};
use redis_bus::chunk_queue::{ChunkQueue, QueueError, Settlement};
use service_kit::{
    backoff::Backoff, batches::next_batch, log_throttle::LogThrottle, metrics::IntCounterVec,
    supervisor::Role, telemetry::chain,
};
use tokio::{sync::mpsc, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::{
    delivery::{Delivery, Ending},
    intake::Buffer,
    queue::{Malformed, receiver::LeasedPosition},
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
    /// A message of the queue.
    Queue(Delivery),
    /// Of the queue, too, but no message.
    Malformed(LeasedPosition, Malformed),
}

impl Letter {
    /// A delivery that was given up.
    pub(crate) fn of(delivery: Delivery, reason: DeadLetterReason) -> Self {
        let letter = delivery.leased.to_dead_letter(reason);
        Self {
            letter,
            origin: Origin::Queue(delivery),
        }
    }

    /// What stands in the queue and is no message.
    pub(crate) fn malformed(letter: DeadLetter, at: LeasedPosition, counted: Malformed) -> Self {
        let origin = Origin::Malformed(at, counted);
        Self { letter, origin }
    }

    /// Where it stands in the queue.
    fn positions_of(&self) -> &LeasedPosition {
        match &self.origin {
            Origin::Queue(delivery) => &delivery.leased.at,
            Origin::Malformed(at, _) => at,
        }
    }
}

/// The role that writes dead letters, and keeps trying while Redis does not take them.
#[derive(Debug)]
pub(crate) struct DeadLetterWriter {
    queue: ChunkQueue,
    /// Where what the queue has lost is offered to it again.
    buffer: Buffer,
    waiting: mpsc::Receiver<Letter>,
    /// How many were written, by reason.
    written: IntCounterVec,
    given_up: LogThrottle,
    unwritten: LogThrottle,
}

impl DeadLetterWriter {
    pub(crate) fn new(
        queue: ChunkQueue,
        buffer: Buffer,
        waiting: mpsc::Receiver<Letter>,
        written: IntCounterVec,
    ) -> Self {
        let [given_up, unwritten] = [(); 2].map(|()| LogThrottle::every(LOG_EVERY));
        Self {
            queue,
            buffer,
            waiting,
            written,
            given_up,
            unwritten,
        }
    }

    /// Writes letters, again and again until each is written, or its message is found settled.
    async fn write(&self, batch: Vec<Letter>) {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
        let mut alike: HashMap<QueueIdentity, Vec<Letter>> = HashMap::new();
        for letter in batch {
            let queue = letter.positions_of().queue.clone();
            alike.entry(queue).or_default().push(letter);
        }
        for (queue, mut letters) in alike {
            loop {
                let places: Vec<_> = letters
                    .iter()
                    .map(|letter| (letter.positions_of().position, &letter.letter))
                    .collect();
                let settlements = self.queue.give_up(&queue, &places).await;
                let mut failure = None;
                let mut left = Vec::new();
                for (letter, settlement) in letters.into_iter().zip(settlements) {
                    match settlement {
                        Ok(settlement) => self.settled(letter, settlement),
                        Err(QueueError::Another { .. }) => {
                            self.settled(letter, Settlement::Unknown);
                        }
                        Err(cause) => {
                            failure = Some(cause);
                            left.push(letter);
                        }
                    }
                }
                let Some(cause) = failure else { break };
                letters = left;
                self.log_failure(&cause, letters.len());
                sleep(backoff.next_wait()).await;
            }
        }
    }

    fn settled(&self, letter: Letter, settlement: Settlement) {
        let ending = match settlement {
            Settlement::Settled => {
                let reason = letter.letter.reason().as_str();
                self.written.with_label_values(&[reason]).inc();
                self.log_letter(&letter.letter);
                Ending::DeadLettered
            }
            // By whoever had it too, or by an earlier try whose answer was lost.
            Settlement::Before => Ending::Released,
            Settlement::Unknown => {
                // What is no message comes again with whoever has it published again, if anybody does.
                if let Origin::Queue(delivery) = letter.origin {
                    Delivery::offer_again(vec![delivery], &self.buffer);
                }
                return;
            }
        };
        match letter.origin {
            Origin::Queue(delivery) => delivery.finish(ending),
            Origin::Malformed(_, counted) => counted.finish(ending),
        }
    }

    fn log_letter(&self, letter: &DeadLetter) {
        if let Some(suppressed) = self.given_up.due() {
            let reason = letter.reason().as_str();
            let cause = letter.last_error();
            let id = letter.message_id().map(MessageId::as_str);
            warn!(
                message.id = id,
                reason, cause, suppressed, "a message went to the dead letters"
            );
        }
    }

    fn log_failure(&self, cause: &(dyn Error + 'static), letters: usize) {
        if let Some(suppressed) = self.unwritten.due() {
            let cause = chain(cause);
            error!(
                cause,
                letters, suppressed, "cannot write dead letters; trying again"
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
