//! What this replica was handed from the queue: the messages it answers for.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use protocol::{ChunkId, DeadLetter, DeadLetterReason, Position, QueueIdentity};
use redis_bus::chunk_queue::{Indices, Lease, LeaseNote, Leases, ReadChunk};
use tokio::{sync::mpsc, time::Instant};
use tracing::{debug, warn};

use crate::{
    consumer::{handle::ConsumerHandle, registry::ConsumerGroup},
    dead_letters::writer::Letter,
    delivery::LeasedMessage,
    intake::Received,
    leasing::Leasing,
    queue::LocalQueue,
};

/// How many messages this replica holds for each consumer that may be picked, at the least. Without consumers
/// nothing is read.
const HELD_PER_CONSUMER: usize = 512;

/// How much room there should be before reading, so that many come at once.
const READ_AT_LEAST: usize = 64;

/// Where a message stands in the queue, with the proof that this replica was handed it. Clones share that.
#[derive(Debug, Clone)]
pub(crate) struct LeasedPosition {
    pub(crate) queue: QueueIdentity,
    pub(crate) position: Position,
    pub(crate) lease: Lease,
}

impl LeasedPosition {
    fn new(queue: &QueueIdentity, lease: &Lease, index: usize) -> Option<Self> {
        Some(Self {
            queue: queue.clone(),
            position: Position::new(lease.chunk(), index)?,
            lease: lease.clone(),
        })
    }
}

/// The way from the queue to the dispatcher; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct ChunkReceiver {
    pub(crate) leases: Leases,
    /// The name this replica reads under.
    pub(crate) reader: Arc<str>,
    pub(crate) messages: LocalQueue,
    pub(crate) leasing: Leasing,
    pub(crate) group: ConsumerGroup,
    pub(crate) letters: mpsc::Sender<Letter>,
    /// How often a message may be handed to whoever dies with it.
    pub(crate) max_deliveries: u64,
}

impl ChunkReceiver {
    /// The name this replica reads under.
    pub(crate) fn reader(&self) -> &str {
        &self.reader
    }

    /// How many more messages it may be handed; none until there is room for some.
    pub(crate) fn room(&self) -> usize {
        // What each may hold, and as many to follow at once.
        let per_consumer =
            |member: &Arc<ConsumerHandle>| HELD_PER_CONSUMER.max(2 * member.window.size());
        let held_at_most: usize = self.group.candidates().iter().map(per_consumer).sum();
        let fetched = match self.leasing.expected() {
            0 => 0,
            wanted => wanted.max(READ_AT_LEAST),
        };
        let room = self.messages.room(held_at_most + fetched);
        if room < READ_AT_LEAST { 0 } else { room }
    }

    /// Waits until there may be room.
    pub(crate) async fn has_room(&self) {
        self.messages.has_room().await;
    }

    /// Takes in a chunk that this replica has admitted, and was handed in the same step, unless it holds no messages.
    pub(crate) async fn take_appended(
        &self,
        queue: &QueueIdentity,
        chunk: ChunkId,
        received: Vec<Received>,
    ) {
        // It is new: nobody has it in hand.
        let Some(lease) = self.leases.take(chunk) else {
            return;
        };
        let mut leased = Vec::with_capacity(received.len());
        for (index, received) in received.into_iter().enumerate() {
            let Some(at) = LeasedPosition::new(queue, &lease, index) else {
                continue;
            };
            match DeadLetter::unless_message(&received.payload) {
                Ok(message) => leased.push(LeasedMessage::new(message, received.at, at)),
                Err(letter) => self.refuse(*letter, at).await,
            }
        }
        self.messages.push_leased(leased);
    }

    /// Takes in a chunk that was read.
    pub(crate) async fn take_read(&self, chunk: ReadChunk) {
        let ReadChunk {
            queue,
            lease,
            messages,
            settled,
            deliveries,
        } = chunk;
        let received = received_at(lease.chunk());
        let mut leased = Vec::with_capacity(messages.len());
        // Whoever had it so often has died of one of them: of the first that is left, if each goes alone.
        let mut is_exhausted = deliveries > self.max_deliveries;
        if is_exhausted {
            self.count_anew(&lease).await;
        }
        let mut known = self.known(&lease, &settled, deliveries).await;
        for (index, payload) in messages.into_iter().enumerate() {
            let Some(at) = LeasedPosition::new(&queue, &lease, index) else {
                continue;
            };
            if settled.contains(index) {
                continue;
            }
            let message = match DeadLetter::unless_message(&payload) {
                Ok(message) => message,
                Err(letter) => {
                    self.refuse(*letter, at).await;
                    continue;
                }
            };
            let known = known.remove(&at.position);
            let mut one = LeasedMessage {
                deliveries_before: deliveries.saturating_sub(1),
                // Whoever had it before may have died of it.
                goes_alone: deliveries > 1,
                ..LeasedMessage::new(message, received, at)
            };
            if let Some((note, lasts)) = known {
                let delivery = self.messages.push_in_flight(one);
                self.leasing.take_over(delivery, note, lasts).await;
            } else if std::mem::take(&mut is_exhausted) {
                one.last_error = format!(
                    "it was handed out {} times, and whoever had it did not finish",
                    deliveries - 1
                );
                self.give_up(one).await;
            } else {
                leased.push(one);
            }
        }
        self.messages.push_leased(leased);
    }

    /// What is known of messages that workers have fetched, of a chunk that was handed out before.
    async fn known(
        &self,
        lease: &Lease,
        settled: &Indices,
        deliveries: u64,
    ) -> HashMap<Position, (LeaseNote, Duration)> {
        if deliveries <= 1 {
            return HashMap::new();
        }
        let unsettled = |at: &Position| !settled.contains(at.index());
        let positions: Vec<_> = Position::all(lease.chunk()).filter(unsettled).collect();
        let known = self.leasing.notes(&positions).await;
        known.unwrap_or_else(|cause| {
            // At the worst a message is worked on twice, and settled once.
            warn!(%cause, "cannot look up which messages are leased to workers");
            HashMap::new()
        })
    }

    /// What is left beside the message that is given up has all its deliveries again: they were not its fault.
    async fn count_anew(&self, lease: &Lease) {
        if let Err(cause) = self.leases.recount(lease, 1).await {
            debug!(%cause, "cannot count the deliveries of a chunk anew");
        }
    }

    /// Has what is no message become a dead letter.
    async fn refuse(&self, letter: DeadLetter, at: LeasedPosition) {
        let counted = self.messages.push_malformed();
        let letter = Letter::malformed(letter, at, counted);
        // An error means that the writer is gone; the chunk is then handed out again.
        drop(self.letters.send(letter).await);
    }

    async fn give_up(&self, leased: LeasedMessage) {
        let delivery = self.messages.push_in_flight(leased);
        let letter = Letter::of(delivery, DeadLetterReason::DeliveriesExhausted);
        // An error means that the writer is gone; the delivery then goes back to the queue.
        drop(self.letters.send(letter).await);
    }
}

/// When a chunk came into the queue: by the clock of Redis, which may not be ours.
fn received_at(chunk: ChunkId) -> Instant {
    let (now, clock) = (Instant::now(), SystemTime::now());
    let age = clock.duration_since(chunk.entry().added_at());
    let age: Duration = age.unwrap_or_default();
    now.checked_sub(age).unwrap_or(now)
}

/// The places of all messages of a chunk of so many, for tests.
#[cfg(test)]
pub(crate) fn positions_of(messages: usize) -> impl Iterator<Item = LeasedPosition> {
    use redis_bus::{
        Connection, Endpoint, RedisSettings,
        chunk_queue::{ChunkQueue, ChunkReader},
    };
    let settings = RedisSettings {
        host: "127.0.0.1".to_owned(),
        port: 1,
        url: None,
    };
    let connection = Connection::new(Endpoint::new(&settings).unwrap());
    let reader = ChunkReader::new(ChunkQueue::new(connection, "messages:processed"));
    let number = messages.max(1) - 1;
    let chunk = format!("1-{number}").parse().unwrap();
    let lease = reader.leases().take(chunk).unwrap();
    let queue = QueueIdentity::from(1);
    (0..messages).filter_map(move |index| LeasedPosition::new(&queue, &lease, index))
}
