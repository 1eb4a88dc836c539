//! What is said to Redis, and what it answers.

use crate::{
    message::Message,
    redis::{Admission, ChunkId, Position, QueueIdentity, Settlement},
    replica::ReplicaNumber,
};

/// A call to Redis.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Call {
    /// The replica that is handed what the call appends. It may not wait for the answer any more.
    pub caller: ReplicaNumber,
    /// The queue it is meant for.
    pub identity: QueueIdentity,
    /// What it asks.
    pub request: Request,
}

/// What a call asks.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Request {
    /// To admit messages, if the id log ends where the caller has read to.
    Offer {
        /// Up to where the caller has read the id log.
        read_to: ChunkId,
        /// What it offers.
        messages: Vec<Message>,
    },
    /// To record the outcome of a message.
    Settle {
        /// Where it stands.
        position: Position,
        /// Which it is.
        message: Message,
    },
}

/// What a call is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// To an offer.
    Offer(Admission),
    /// To a settlement.
    Settle(Settlement),
}
