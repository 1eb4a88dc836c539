//! Paths and JSON bodies of both REST APIs.

use serde::{Deserialize, Serialize};

use crate::{ConsumerId, MessageId};

/// `POST` on the group: become a member.
pub const REGISTER: &str = "/register";
/// `POST` on the group: stop being a member.
pub const UNREGISTER: &str = "/unregister";
/// `POST` on the group: ask whether one is a member.
pub const CHECK_MEMBERSHIP: &str = "/checkMembership";
/// `GET` on either service: is it running?
pub const HEALTH: &str = "/health";
/// `POST` on a consumer: process one message.
pub const PROCESS_MESSAGE: &str = "/processMessage";

/// The largest body of the group's membership calls, in bytes; an id is at most 260 of them.
pub const MAX_MEMBERSHIP_BODY_BYTES: usize = 4096;

/// Request of `/register`, `/unregister` and `/checkMembership`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembershipRequest {
    /// Who is meant.
    pub consumer_id: ConsumerId,
}

/// Answer of a call that has something to tell people, such as `{"message":"…"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageBody {
    /// What happened, in words.
    pub message: String,
}

impl MessageBody {
    /// Answer of `GET /health`.
    #[must_use]
    pub fn running() -> Self {
        Self::new("Application is running".to_owned())
    }

    /// Answer of `POST /register`.
    #[must_use]
    pub fn registered(id: &ConsumerId) -> Self {
        Self::new(format!("Consumer with id {id} is registered."))
    }

    /// Answer of `POST /unregister`.
    #[must_use]
    pub fn unregistered(id: &ConsumerId) -> Self {
        Self::new(format!("Consumer with id {id} is unregistered."))
    }

    /// Answer of `POST /processMessage`.
    #[must_use]
    pub fn processed(id: &MessageId) -> Self {
        Self::new(format!("Message with id {id} was processed successfully."))
    }

    fn new(message: String) -> Self {
        Self { message }
    }
}

/// Answer of `POST /checkMembership`: `{"is_member":true}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// Whether the consumer is in the list.
    pub is_member: bool,
}

/// Answer of a call that went wrong: `{"error":"…"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What went wrong, in words that give nothing away of the inside.
    pub error: String,
}
