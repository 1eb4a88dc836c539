//! A replica of the group: what it has heard, what it has read of the id log, and what it holds.

use crate::{
    call::{Call, Request},
    guard::Guard,
    message::{Message, Set, id_of},
    model::QueueModel,
    redis::{Admission, ChunkId, Position, QueueIdentity, Redis},
    step::Operation,
};

/// Which replica: 0 or 1.
pub type ReplicaNumber = u8;

/// The other replica.
#[must_use]
pub fn other(number: ReplicaNumber) -> ReplicaNumber {
    1 - number
}

/// A chunk that a replica was handed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lease {
    /// Which.
    pub chunk: ChunkId,
    /// The queue it stands in.
    pub identity: QueueIdentity,
    /// Its messages, by index.
    pub messages: Vec<Message>,
    /// The indices that are not known to be settled.
    pub open: Set,
}

/// A replica. After a crash it starts with nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Replica {
    /// The queue whose log it has read; 0: none yet.
    pub identity: QueueIdentity,
    /// Up to where it has read the log.
    pub read_to: ChunkId,
    /// The ids it has read there.
    pub known: Set,
    /// What it heard, kept to be offered again should the log lose its end.
    pub heard: Set,
    /// What it heard that is not known to be admitted.
    pub buffer: Set,
    /// What it was handed.
    pub leases: Vec<Lease>,
}

impl Replica {
    /// Hears a message.
    pub fn hear(&mut self, message: Message) {
        self.heard.add(message);
        self.buffer.add(message);
        self.drop_duplicates();
    }

    /// Of the buffer, forgets what is a duplicate: its id is known, or an earlier one has it.
    fn drop_duplicates(&mut self) {
        if self.identity == 0 {
            return;
        }
        let mut ids = self.known;
        for message in self.buffer.iter() {
            if ids.has(id_of(message)) {
                self.buffer.remove(message);
            }
            ids.add(id_of(message));
        }
    }

    /// Reads what it has not read of the id log; reads all of it anew when it is not the id log it knows.
    pub fn read_log(&mut self, model: &QueueModel, redis: &Redis) {
        let diverged = redis.refusal(model, self.read_to) == Some(Admission::Diverged);
        if self.identity != redis.identity || diverged {
            self.known = Set::default();
            if model.has(Guard::HeardIsKept) {
                self.buffer = self.buffer.with(self.heard);
            }
        }
        self.identity = redis.identity;
        self.read_to = redis.log_end();
        // Read from where it was, or from the beginning: what it had read before stays known.
        self.known = self.known.with(redis.admitted());
        self.drop_duplicates();
    }

    /// Every message it has in memory.
    pub fn messages(&self) -> impl Iterator<Item = Message> {
        let open = |lease: &Lease| {
            let messages = lease.messages.clone();
            lease
                .open
                .iter()
                .map(move |index| messages[usize::from(index)])
        };
        let heard = self.heard.with(self.buffer);
        heard.iter().chain(self.leases.iter().flat_map(open))
    }

    /// What it may have Redis do now.
    pub fn operations(&self) -> impl Iterator<Item = Operation> {
        let may_offer = self.identity != 0 && !self.buffer.is_empty();
        let settle = |lease: &Lease| {
            let chunk = lease.chunk;
            let open = lease.open;
            open.iter()
                .map(move |index| Operation::Settle(Position { chunk, index }))
        };
        let offer = may_offer.then_some(Operation::Offer);
        offer.into_iter().chain(self.leases.iter().flat_map(settle))
    }

    /// The call for an operation of its own.
    #[must_use]
    pub fn call(&self, caller: ReplicaNumber, operation: Operation) -> Call {
        let position = match operation {
            Operation::Offer => None,
            Operation::Settle(position) => Some(position),
        };
        let lease = position.and_then(|position| {
            let lease = self
                .leases
                .iter()
                .find(|lease| lease.chunk == position.chunk)?;
            Some((position, lease))
        });
        match lease {
            Some((position, lease)) => Call {
                caller,
                identity: lease.identity,
                request: Request::Settle {
                    position,
                    message: lease.messages[usize::from(position.index)],
                },
            },
            None => Call {
                caller,
                identity: self.identity,
                request: Request::Offer {
                    read_to: self.read_to,
                    messages: self.buffer.iter().collect(),
                },
            },
        }
    }

    /// Its append was carried out: what it offered is admitted.
    pub fn appended(&mut self, chunk: ChunkId, messages: &[Message]) {
        self.read_to = chunk;
        for message in messages {
            self.known.add(id_of(*message));
        }
        self.drop_duplicates();
    }

    /// Was handed a chunk.
    pub fn hold(&mut self, identity: QueueIdentity, chunk: ChunkId, messages: &[Message]) {
        self.leases.retain(|lease| lease.chunk != chunk);
        self.leases.push(Lease {
            chunk,
            identity,
            messages: messages.to_vec(),
            open: (0..).zip(messages).map(|(index, _)| index).collect(),
        });
    }

    /// What it holds of a chunk, and has not been told to be settled.
    #[must_use]
    pub fn holds(&self, chunk: ChunkId) -> bool {
        self.leases.iter().any(|lease| lease.chunk == chunk)
    }

    /// A position is settled.
    pub fn settled(&mut self, position: Position) {
        for lease in &mut self.leases {
            if lease.chunk == position.chunk {
                lease.open.remove(position.index);
            }
        }
        self.leases.retain(|lease| !lease.open.is_empty());
    }

    /// The queue knows nothing of a position: the message is offered to admission again, once the id log
    /// has been read anew.
    pub fn unknown(&mut self, model: &QueueModel, position: Position, message: Message) {
        self.settled(position);
        if model.has(Guard::UnknownIsOffered) {
            self.buffer.add(message);
        }
        if model.has(Guard::UnknownReadsAnew) {
            self.forget_queue();
        } else {
            self.drop_duplicates();
        }
    }

    /// The queue is not what it was: it reads the id log before it offers or drops anything.
    pub fn forget_queue(&mut self) {
        self.identity = 0;
    }
}
