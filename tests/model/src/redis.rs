//! Redis, as far as the queue is concerned. Each function is one script: one step, all or nothing.

use crate::{
    guard::Guard,
    message::{Message, MessageId, Set, id_of},
    model::QueueModel,
    replica::{ReplicaNumber, other},
};

/// The id of a chunk, and of its entry in the id log; 0 stands for "before the first".
pub type ChunkId = u8;

/// What tells one queue from another at the same place; 0: there is no queue.
pub type QueueIdentity = u8;

/// A chunk that is not settled as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Chunk {
    /// Its id.
    pub id: ChunkId,
    /// The messages, by index.
    pub messages: Vec<Message>,
    /// The indices that are settled.
    pub settled: Set,
    /// Whom it was handed to last.
    pub reader: Option<ReplicaNumber>,
}

/// An entry of the id log: which ids a chunk brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LogEntry {
    /// The chunk.
    pub chunk: ChunkId,
    /// Their ids.
    pub ids: Set,
}

/// The keys of the queue.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Redis {
    /// Made with the queue.
    pub identity: QueueIdentity,
    /// The id log, oldest first.
    pub log: Vec<LogEntry>,
    /// The chunks that are not settled, oldest first.
    pub queue: Vec<Chunk>,
    /// How many outcomes were recorded, by id.
    pub outcomes: [u8; 2],
}

/// What an offer came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// The chunk is in the queue, and its ids are in the id log.
    Appended {
        /// Its id.
        chunk: ChunkId,
        /// Whether the caller was handed it at once, because nothing else waits.
        is_handed_out: bool,
    },
    /// Nothing was written: the id log goes on after what the caller has read.
    Missed,
    /// Nothing was written: what the caller has read is not in the id log.
    Diverged,
    /// Nothing was written: the offer is meant for another queue.
    AnotherQueue,
}

/// What settling a position came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// The outcome is recorded.
    Recorded,
    /// The position was settled before; nothing was written.
    Before,
    /// All of the chunk was settled before; nothing was written.
    Whole,
    /// This queue knows no such chunk; nothing was written.
    Unknown,
    /// The position is one of another queue; nothing was written.
    AnotherQueue,
}

/// Where a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// Its chunk.
    pub chunk: ChunkId,
    /// Its index there.
    pub index: u8,
}

impl Redis {
    /// The id of the id log's last entry.
    #[must_use]
    pub fn log_end(&self) -> ChunkId {
        self.log.last().map_or(0, |entry| entry.chunk)
    }

    /// All ids in the id log.
    #[must_use]
    pub fn admitted(&self) -> Set {
        self.log
            .iter()
            .fold(Set::default(), |all, entry| all.with(entry.ids))
    }

    /// How often an id is in the id log.
    #[must_use]
    pub fn admissions(&self, id: MessageId) -> usize {
        self.log.iter().filter(|entry| entry.ids.has(id)).count()
    }

    /// Why nothing is appended for a caller that has read the id log to `read_to`; `None` if that is its
    /// end.
    #[must_use]
    pub fn refusal(&self, model: &QueueModel, read_to: ChunkId) -> Option<Admission> {
        let is_there = read_to == 0 || self.log.iter().any(|entry| entry.chunk == read_to);
        if read_to == self.log_end() {
            None
        } else if is_there || (!model.has(Guard::ReadToIsThere) && read_to < self.log_end()) {
            Some(Admission::Missed)
        } else {
            Some(Admission::Diverged)
        }
    }

    /// Compare-and-append: adds a chunk and its ids if the id log ends where the caller has read to.
    pub fn append(
        &mut self,
        model: &QueueModel,
        (identity, read_to): (QueueIdentity, ChunkId),
        messages: &[Message],
        (chunk, caller): (ChunkId, ReplicaNumber),
    ) -> Admission {
        if identity != self.identity {
            return Admission::AnotherQueue;
        }
        if model.has(Guard::CompareAndAppend)
            && let Some(refusal) = self.refusal(model, read_to)
        {
            return refusal;
        }
        let is_handed_out = self.queue.is_empty();
        self.queue.push(Chunk {
            id: chunk,
            messages: messages.to_vec(),
            settled: Set::default(),
            reader: is_handed_out.then_some(caller),
        });
        let ids = messages.iter().map(|message| id_of(*message)).collect();
        self.log.push(LogEntry { chunk, ids });
        Admission::Appended {
            chunk,
            is_handed_out,
        }
    }

    /// Hands a chunk to a reader.
    pub fn hand_out(&mut self, chunk: ChunkId, reader: ReplicaNumber) -> Option<Chunk> {
        let chunk = self.queue.iter_mut().find(|one| one.id == chunk)?;
        chunk.reader = Some(reader);
        Some(chunk.clone())
    }

    /// Records the outcome of a position, once; a chunk that is settled as a whole leaves the queue.
    pub fn settle(
        &mut self,
        model: &QueueModel,
        identity: QueueIdentity,
        position: Position,
        message: Message,
    ) -> Settlement {
        if identity != self.identity {
            return Settlement::AnotherQueue;
        }
        let is_it = |chunk: &Chunk| chunk.id == position.chunk;
        let Some(at) = self.queue.iter().position(is_it) else {
            return self.absent(model, position.chunk);
        };
        let chunk = &mut self.queue[at];
        if chunk.settled.has(position.index) && model.has(Guard::Bitmap) {
            return Settlement::Before;
        }
        self.outcomes[usize::from(id_of(message))] += 1;
        chunk.settled.add(position.index);
        if chunk.messages.len() == chunk.settled.iter().count() {
            self.queue.remove(at);
        }
        Settlement::Recorded
    }

    /// What a chunk that is not in the queue is: settled, or never heard of.
    fn absent(&self, model: &QueueModel, chunk: ChunkId) -> Settlement {
        let is_logged = self.log.iter().any(|entry| entry.chunk == chunk);
        // Nothing is trimmed here, so an id log that begins later lost its beginning in another way.
        let begins_after = self.log.first().is_some_and(|first| chunk < first.chunk);
        let is_trimmed = begins_after && !model.has(Guard::TrimmedIsRemembered);
        if is_logged || is_trimmed || !model.has(Guard::UnknownIsNotSettled) {
            Settlement::Whole
        } else {
            Settlement::Unknown
        }
    }

    /// The same with the two replicas in each other's place.
    #[must_use]
    pub fn with_replicas_swapped(mut self) -> Self {
        for chunk in &mut self.queue {
            chunk.reader = chunk.reader.map(other);
        }
        self
    }
}
