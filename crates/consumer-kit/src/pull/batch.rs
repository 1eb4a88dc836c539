//! Chunks that are worked together, and how far their messages are.

use std::time::Duration;

use bytes::Bytes;
use protocol::{Message, Position, QueueIdentity};
use redis_bus::chunk_queue::{Indices, Lease, ReadChunk};

/// Some chunks; one, unless batches are processed whole.
#[derive(Debug)]
pub(super) struct Batch {
    /// The queue they were read from.
    pub(super) queue: QueueIdentity,
    chunks: Vec<HeldChunk>,
}

/// A chunk that this consumer answers for.
#[derive(Debug)]
pub(super) struct HeldChunk {
    pub(super) lease: Lease,
    /// How often it counts as handed out, this time included: the attempts of what is left of it.
    pub(super) deliveries: u64,
    messages: Vec<Bytes>,
    settled: Indices,
    /// Whether an attempt failed, so that there must be another.
    pub(super) has_failed: bool,
    /// How long whatever was postponed is to wait.
    pub(super) postponed: Duration,
    /// Whether the queue has lost it.
    pub(super) is_lost: bool,
}

/// A message of a batch.
#[derive(Debug)]
pub(super) struct Item {
    /// Which chunk of the batch.
    chunk: usize,
    pub(super) position: Position,
    pub(super) payload: Bytes,
}

/// What an attempt at a message came to in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Its outcome is recorded, now or before.
    Settled,
    /// It is to be tried again.
    Failed,
    /// It is to be tried again after this time, as if it had not been tried.
    Postponed(Duration),
    /// The queue has lost its chunk.
    Lost,
    /// Nothing can be recorded any more.
    Left,
}

impl Batch {
    /// Chunks that were read together; nothing without chunks.
    pub(super) fn new(chunks: Vec<ReadChunk>) -> Option<Self> {
        let queue = chunks.first()?.queue.clone();
        let chunks = chunks.into_iter().map(|chunk| HeldChunk {
            lease: chunk.lease,
            deliveries: chunk.deliveries,
            messages: chunk.messages,
            settled: chunk.settled,
            has_failed: false,
            postponed: Duration::ZERO,
            is_lost: false,
        });
        let chunks = chunks.collect();
        Some(Self { queue, chunks })
    }

    /// How often what was handed out most often was.
    pub(super) fn deliveries(&self) -> u64 {
        let deliveries = self.chunks.iter().map(|chunk| chunk.deliveries);
        deliveries.max().unwrap_or_default()
    }

    /// The messages that are not settled, in order.
    pub(super) fn unsettled(&self) -> Vec<Item> {
        let chunks = self.chunks.iter().enumerate();
        let items = chunks.flat_map(|(place, chunk)| {
            chunk.unsettled().map(move |(position, payload)| Item {
                chunk: place,
                position,
                payload: payload.clone(),
            })
        });
        items.collect()
    }

    /// How many there are.
    pub(super) fn unsettled_len(&self) -> usize {
        let each = self.chunks.iter();
        each.map(|chunk| chunk.messages.len().saturating_sub(chunk.settled.len()))
            .sum()
    }

    /// Takes note of what became of a message.
    pub(super) fn note(&mut self, item: &Item, ending: Ending) {
        let Some(chunk) = self.chunks.get_mut(item.chunk) else {
            return;
        };
        match ending {
            Ending::Settled => chunk.settled.insert(item.position.index()),
            Ending::Failed => chunk.has_failed = true,
            Ending::Postponed(wait) => chunk.postponed = chunk.postponed.max(wait),
            Ending::Lost => chunk.is_lost = true,
            Ending::Left => {}
        }
    }

    /// Whether the queue has lost any of it.
    pub(super) fn is_lost(&self) -> bool {
        self.chunks.iter().any(|chunk| chunk.is_lost)
    }

    /// The chunks, to be done with.
    pub(super) fn into_chunks(self) -> Vec<HeldChunk> {
        self.chunks
    }

    /// The chunks, to be counted anew.
    pub(super) fn chunks_mut(&mut self) -> &mut [HeldChunk] {
        &mut self.chunks
    }
}

impl HeldChunk {
    fn unsettled(&self) -> impl Iterator<Item = (Position, &Bytes)> {
        let chunk = self.lease.chunk();
        let messages = self.messages.iter().enumerate();
        messages
            .filter(|(index, _)| !self.settled.contains(*index))
            .filter_map(move |(index, payload)| Some((Position::new(chunk, index)?, payload)))
    }

    /// Whether nothing is left of it.
    pub(super) fn is_settled(&self) -> bool {
        self.unsettled().next().is_none()
    }

    /// What is left of it. What is no message is no loss.
    pub(super) fn unsettled_messages(&self) -> Vec<Message> {
        let payloads = self.unsettled().map(|(_, payload)| payload.clone());
        payloads
            .filter_map(|payload| Message::parse(payload).ok())
            .collect()
    }
}
