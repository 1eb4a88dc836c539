//! Paths and JSON bodies of both REST APIs.

mod concurrency;
pub mod leases;

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use self::concurrency::{MAX_CONCURRENCY, as_concurrency};
use crate::{ConsumerId, MessageId};

/// `POST` on the group: become a member.
pub const REGISTER: &str = "/register";
/// `POST` on the group: stop being a member.
pub const UNREGISTER: &str = "/unregister";
/// `POST` on the group: ask whether one is a member.
pub const CHECK_MEMBERSHIP: &str = "/checkMembership";
/// `GET` on either service: is it running?
pub const HEALTH: &str = "/health";
/// The header by which a group's answer to [`HEALTH`] tells that it is no consumer.
pub const GROUP: &str = "x-consumer-group";
/// `GET` on either service: should work be sent here, and if not, why?
pub const READY: &str = "/ready";
/// `POST` on a consumer: process one message.
pub const PROCESS_MESSAGE: &str = "/processMessage";
/// `POST` on a consumer that says `max_batch` in [`HEALTH`]: process many messages, one a line.
pub const PROCESS_MESSAGES: &str = "/processMessages";

/// `POST` on the group: publish messages to the queue.
pub const MESSAGES: &str = "/messages";
/// `GET` on the group: the account, the consumers, and since when.
pub const STATUS: &str = "/status";
/// `GET` on the group: what the dashboard shows, every second, as server-sent events.
pub const EVENTS: &str = "/events";
/// `GET` on the group: the dead letters, the newest first.
pub const DEAD_LETTERS: &str = "/deadLetters";
/// `POST` on the group: send messages of dead letters on their way again.
pub const REPLAY: &str = "/deadLetters/replay";

/// The largest body of `POST /messages`, in bytes (16 MiB).
pub const MAX_PUBLISH_BODY_BYTES: usize = 16 << 20;

/// The largest body of `POST /processMessages`, in bytes (1 MiB).
pub const MAX_BATCH_BODY_BYTES: usize = 1 << 20;

/// The largest body of the group's membership calls, in bytes; an id is at most 260 of them.
pub const MAX_MEMBERSHIP_BODY_BYTES: usize = 4096;

/// Request of `/register`: `{"consumer_id":"127.0.0.1:5001","concurrency":8}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RegistrationRequest {
    /// Who is meant.
    pub consumer_id: ConsumerId,
    /// How many messages it can work on at once. Left out by one that cannot say: the group finds out. What its
    /// `GET /health` says counts for more.
    #[serde(
        default,
        deserialize_with = "concurrency::read",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 1_000_000, nullable = false)]
    pub concurrency: Option<NonZeroU32>,
}

/// Request of `/unregister` and `/checkMembership`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MembershipRequest {
    /// Who is meant.
    pub consumer_id: ConsumerId,
}

/// Answer of a call that has something to tell people, such as `{"message":"…"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MessageBody {
    /// What happened, in words.
    pub message: String,
    /// Left out unless there is something to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub result: Option<ProcessingResult>,
    /// Whether the message's position in the queue is settled with it: the group need not do that.
    #[serde(default, skip_serializing_if = "is_false")]
    #[schema(default = false)]
    pub settled: bool,
}

/// What is remarkable about a message that was processed successfully: `"result":"duplicate"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProcessingResult {
    /// It had been processed before; nothing was recorded this time.
    Duplicate,
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

    /// Answer of `POST /processMessage` for a message that had been processed before.
    #[must_use]
    pub fn duplicate(id: &MessageId) -> Self {
        Self {
            result: Some(ProcessingResult::Duplicate),
            ..Self::processed(id)
        }
    }

    fn new(message: String) -> Self {
        Self {
            message,
            result: None,
            settled: false,
        }
    }

    /// The same, of a message whose position in the queue is settled or not.
    #[must_use]
    pub fn settled(self, settled: bool) -> Self {
        Self { settled, ..self }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_false(value: &bool) -> bool {
    !value
}

/// Answer of `POST /checkMembership`: `{"is_member":true}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Membership {
    /// Whether the consumer is in the list.
    pub is_member: bool,
}

/// Answer of `POST /messages`: how many were added to the queue, and how many were known there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Published {
    /// New ones.
    pub created: u64,
    /// Known ones, within the de-duplication window.
    pub duplicate: u64,
}

/// Answer of a consumer's `GET /health`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConsumerHealth {
    /// `Application is running`.
    #[serde(default)]
    #[schema(required = true)]
    pub message: String,
    /// How many messages it takes in one `POST /processMessages`; left out by one that takes them only
    /// one by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub max_batch: Option<u32>,
    /// How many messages it can work on at once; left out by one that has no limit, or does not know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 1_000_000, nullable = false)]
    pub concurrency: Option<NonZeroU32>,
}

/// Answer of `POST /processMessages`: `{"processed":512}`, or a result for each line, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum BatchAnswer {
    /// Every message was processed, and none of them before.
    AllProcessed {
        /// How many they were.
        processed: usize,
        /// Whether the positions of all in the queue are settled with it.
        #[serde(default, skip_serializing_if = "is_false")]
        #[schema(default = false)]
        settled: bool,
    },
    /// The outcome of each.
    Each {
        /// One result a line of the request.
        results: Vec<MessageResult>,
    },
}

/// The outcome of one message of a batch: what `POST /processMessage` would have answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MessageResult {
    /// The HTTP status.
    pub status: u16,
    /// As in the answer to one message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub result: Option<ProcessingResult>,
    /// What went wrong, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub error: Option<String>,
    /// As the header `Retry-After`, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub retry_after: Option<u64>,
    /// As in the answer to one message.
    #[serde(default, skip_serializing_if = "is_false")]
    #[schema(default = false)]
    pub settled: bool,
}

impl MessageResult {
    /// A message that was processed.
    pub const PROCESSED: Self = Self {
        status: 200,
        result: None,
        error: None,
        retry_after: None,
        settled: false,
    };
}

/// Answer of a call that went wrong: `{"error":"…"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What went wrong, in words that give nothing away of the inside.
    pub error: String,
    /// Why, where that is the caller's business.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_a_batch_is_short_when_all_is_well() {
        let answer = |settled| BatchAnswer::AllProcessed {
            processed: 512,
            settled,
        };
        for (answer, text) in [
            (answer(false), r#"{"processed":512}"#),
            (answer(true), r#"{"processed":512,"settled":true}"#),
        ] {
            assert_eq!(serde_json::to_string(&answer).unwrap(), text);
            assert_eq!(serde_json::from_str::<BatchAnswer>(text).unwrap(), answer);
        }
    }

    #[test]
    fn a_registration_says_how_much_at_once_or_nothing_of_it() {
        let read = |text: &str| serde_json::from_str::<RegistrationRequest>(text);
        let silent = read(r#"{"consumer_id":"a:1"}"#).unwrap();
        assert_eq!(silent.concurrency, None);
        let text = r#"{"consumer_id":"a:1","concurrency":8}"#;
        assert_eq!(serde_json::to_string(&read(text).unwrap()).unwrap(), text);
        for wrong in ["0", "-1", "1.5", "1000001", r#""8""#, "null", "[1]"] {
            let text = format!(r#"{{"consumer_id":"a:1","concurrency":{wrong}}}"#);
            let error = read(&text).unwrap_err().to_string();
            assert!(error.contains("`concurrency` must be"), "{wrong}: {error}");
        }
    }

    #[test]
    fn a_result_needs_no_more_than_a_status() {
        let text = r#"{"results":[{"status":200},{"status":422,"error":"no"}]}"#;
        let answer: BatchAnswer = serde_json::from_str(text).unwrap();
        let BatchAnswer::Each { results } = &answer else {
            panic!("{answer:?}");
        };
        assert_eq!(results[0], MessageResult::PROCESSED);
        assert_eq!(serde_json::to_string(&answer).unwrap(), text);
    }
}
