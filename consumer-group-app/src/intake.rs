//! The way into the queue: what was heard waits in a [`Buffer`] until it is admitted.

mod admission;
mod buffer;
mod id_log;
pub(crate) mod listener;
pub(crate) mod subscription_health;

use bytes::Bytes;
use protocol::{MessageId, dead_letter::Excerpt};
use redis_bus::Fingerprint;
use tokio::time::Instant;

pub(crate) use self::{
    admission::{Admission, Publish},
    buffer::{Bounds, Buffer},
};

/// A payload on its way into the queue. Very many may wait, so it keeps no more than is needed for that.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    /// As it is admitted, whether it is a message or not: so that of what is none, too, one dead letter is written.
    pub(crate) payload: Bytes,
    is_message: bool,
    /// The fingerprint of its id.
    fingerprint: Fingerprint,
    pub(crate) at: Instant,
}

impl Received {
    /// One that is a message, with this id.
    pub(crate) fn message(payload: Bytes, id: &MessageId, at: Instant) -> Self {
        Self {
            payload,
            is_message: true,
            fingerprint: Fingerprint::of(id.as_str()),
            at,
        }
    }

    pub(crate) fn malformed(payload: Bytes, at: Instant) -> Self {
        Self {
            fingerprint: Fingerprint::of_malformed(&Excerpt::of(&payload)),
            is_message: false,
            payload,
            at,
        }
    }

    /// A payload of which only this much is kept.
    pub(crate) fn too_large(payload: &Excerpt, at: Instant) -> Self {
        Self {
            fingerprint: Fingerprint::of_malformed(payload),
            is_message: false,
            payload: payload.to_bytes(),
            at,
        }
    }
}
