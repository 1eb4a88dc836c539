//! The way into the queue: what was heard waits in a [`Buffer`] until it is admitted.

mod admission;
mod buffer;
mod id_log;
pub(crate) mod listener;
pub(crate) mod subscription_health;

use bytes::Bytes;
use protocol::{Message, dead_letter::Excerpt};
use redis_bus::Fingerprint;
use tokio::time::Instant;

pub(crate) use self::{
    admission::{Admission, Publish},
    buffer::{Bounds, Buffer},
};

/// A payload on its way into the queue.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) content: Content,
    /// What it is told apart by.
    fingerprint: Fingerprint,
    pub(crate) at: Instant,
}

/// What a payload is.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    Message(Message),
    /// No message. It is admitted as it is, so that its dead letter, too, is written once.
    Malformed(Bytes),
}

impl Received {
    pub(crate) fn message(message: Message, at: Instant) -> Self {
        Self {
            fingerprint: Fingerprint::of(message.id().as_str()),
            content: Content::Message(message),
            at,
        }
    }

    pub(crate) fn malformed(payload: Bytes, at: Instant) -> Self {
        Self {
            fingerprint: Fingerprint::of_malformed(&Excerpt::of(&payload)),
            content: Content::Malformed(payload),
            at,
        }
    }

    /// A payload of which only this much is kept.
    pub(crate) fn too_large(payload: &Excerpt, at: Instant) -> Self {
        Self {
            fingerprint: Fingerprint::of_malformed(payload),
            content: Content::Malformed(payload.to_bytes()),
            at,
        }
    }

    fn is_message(&self) -> bool {
        matches!(self.content, Content::Message(_))
    }

    /// As it is admitted.
    fn payload(&self) -> &Bytes {
        match &self.content {
            Content::Message(message) => message.body(),
            Content::Malformed(payload) => payload,
        }
    }
}
