//! What was given up on: the entry of the stream of dead letters, `{messages:processed}:failed`.

mod excerpt;

use std::time::SystemTime;

use bytes::Bytes;
use strum::{Display, IntoStaticStr, VariantArray};

pub use self::excerpt::{Excerpt, KEPT_UNFIT_BYTES};
use crate::{Message, MessageError, MessageId};

/// The names of an entry's fields; `message_id` is the first where there is one.
pub mod field {
    /// The message, or the start of what is none.
    pub const PAYLOAD: &str = "payload";
    /// The payload's length as published.
    pub const PAYLOAD_BYTES: &str = "payload_bytes";
    /// A [`DeadLetterReason`](super::DeadLetterReason).
    pub const REASON: &str = "reason";
    /// How many attempts there were.
    pub const ATTEMPTS: &str = "attempts";
    /// What the last of them came to.
    pub const LAST_ERROR: &str = "last_error";
    /// When it was given up, as RFC 3339.
    pub const FAILED_AT: &str = "failed_at";
}

/// How much of an error's text is kept, in bytes.
const KEPT_ERROR_BYTES: usize = 512;

/// Why a message is among the dead letters. The text form is the `reason` field of the entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Display, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum DeadLetterReason {
    /// `not_json`: not JSON, not UTF-8, not an object, or nested too deeply.
    NotJson,
    /// `bad_message_id`: missing, not a string, empty, too long, or given twice.
    BadMessageId,
    /// `too_large`: over the size limit.
    TooLarge,
    /// `rejected`: a consumer said that the message is at fault (HTTP 400, 413, 422).
    Rejected,
    /// `attempts_exhausted`: every allowed attempt failed.
    AttemptsExhausted,
    /// `deliveries_exhausted`: it was taken from the queue as often as allowed, and whoever took it died
    /// with it every time.
    DeliveriesExhausted,
}

impl DeadLetterReason {
    /// The text form.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl From<&MessageError> for DeadLetterReason {
    fn from(error: &MessageError) -> Self {
        match error {
            MessageError::TooLarge { .. } => Self::TooLarge,
            MessageError::NotUtf8(_)
            | MessageError::NotJson(_)
            | MessageError::NoNumber(_)
            | MessageError::TooDeep
            | MessageError::LoneSurrogate { .. }
            | MessageError::NotAnObject => Self::NotJson,
            MessageError::MissingId
            | MessageError::RepeatedId
            | MessageError::IdNotText
            | MessageError::EmptyId
            | MessageError::LongId { .. } => Self::BadMessageId,
        }
    }
}

/// A message the group gave up on, with all that is needed to understand and replay it.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    message_id: Option<MessageId>,
    payload: Bytes,
    payload_bytes: usize,
    payload_hash: u64,
    reason: DeadLetterReason,
    attempts: u32,
    last_error: String,
    failed_at: SystemTime,
}

impl DeadLetter {
    /// A message that was given up on after `attempts`; its payload is kept whole.
    #[must_use]
    pub fn new(message: &Message, reason: DeadLetterReason, attempts: u32, error: &str) -> Self {
        Self {
            message_id: Some(message.id().clone()),
            payload: message.body().clone(),
            payload_bytes: message.body().len(),
            payload_hash: 0,
            reason,
            attempts,
            last_error: cut(error, KEPT_ERROR_BYTES),
            failed_at: SystemTime::now(),
        }
    }

    /// A payload that is not a message; its first [`KEPT_UNFIT_BYTES`] bytes are kept.
    #[must_use]
    pub fn malformed(payload: Excerpt, error: &MessageError) -> Self {
        Self {
            message_id: None,
            payload_bytes: payload.bytes(),
            payload_hash: payload.hash(),
            payload: payload.into_start(),
            reason: DeadLetterReason::from(error),
            attempts: 0,
            last_error: cut(&error.to_string(), KEPT_ERROR_BYTES),
            failed_at: SystemTime::now(),
        }
    }

    /// A payload of the queue as a message; or the letter that it becomes, if it is none.
    ///
    /// # Errors
    /// The letter.
    pub fn unless_message(payload: &Bytes) -> Result<Message, Box<Self>> {
        let letter = |excerpt, error: &MessageError| Box::new(Self::malformed(excerpt, error));
        if let Some(excerpt) = Excerpt::from_bytes(payload) {
            let bytes = excerpt.bytes();
            return Err(letter(excerpt, &MessageError::TooLarge { bytes }));
        }
        Message::parse(payload.clone()).map_err(|error| letter(Excerpt::of(payload), &error))
    }

    /// Why it was given up on.
    #[must_use]
    pub fn reason(&self) -> DeadLetterReason {
        self.reason
    }

    /// The last error, in words.
    #[must_use]
    pub fn last_error(&self) -> &str {
        &self.last_error
    }

    /// The id of its message, where it is about one.
    #[must_use]
    pub fn message_id(&self) -> Option<&MessageId> {
        self.message_id.as_ref()
    }

    /// The payload, as far as it is kept.
    #[must_use]
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// What tells apart payloads that are no messages: the start, the length and a hash of the whole.
    #[must_use]
    pub fn malformed_identity(&self) -> Vec<u8> {
        let length = self.payload_bytes.to_be_bytes();
        let hash = self.payload_hash.to_be_bytes();
        [&self.payload[..], &length, &hash].concat()
    }

    /// How much memory its payload takes, in bytes.
    #[must_use]
    pub fn kept_bytes(&self) -> usize {
        self.payload.len()
    }

    /// The flat entry: `message_id` where there is one, `payload`, `payload_bytes` (its length as
    /// published), `reason`, `attempts`, `last_error`, `failed_at` (RFC 3339).
    #[must_use]
    pub fn fields(&self) -> Vec<(&'static str, Bytes)> {
        let text = |value: String| Bytes::from(value.into_bytes());
        let mut fields = Vec::with_capacity(7);
        if let Some(id) = &self.message_id {
            fields.push((crate::message::MESSAGE_ID, text(id.to_string())));
        }
        let failed_at = humantime::format_rfc3339_millis(self.failed_at).to_string();
        fields.extend([
            (field::PAYLOAD, self.payload.clone()),
            (field::PAYLOAD_BYTES, text(self.payload_bytes.to_string())),
            (
                field::REASON,
                Bytes::from_static(self.reason.as_str().as_bytes()),
            ),
            (field::ATTEMPTS, text(self.attempts.to_string())),
            (field::LAST_ERROR, text(self.last_error.clone())),
            (field::FAILED_AT, text(failed_at)),
        ]);
        fields
    }
}

/// The start of `text`, at most `bytes` long, ending between characters.
fn cut(text: &str, bytes: usize) -> String {
    text[..text.floor_char_boundary(bytes)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(letter: &DeadLetter, name: &str) -> Option<Bytes> {
        let found = letter.fields().into_iter().find(|(n, _)| *n == name);
        found.map(|(_, value)| value)
    }

    #[test]
    fn a_malformed_payload_is_cut_and_its_length_kept() {
        let payload = Bytes::from(vec![b'x'; 5000]);
        let error = Message::parse(payload.clone()).unwrap_err();
        let letter = DeadLetter::malformed(Excerpt::of(&payload), &error);
        assert_eq!(letter.kept_bytes(), KEPT_UNFIT_BYTES);
        assert_eq!(field(&letter, "payload_bytes").unwrap(), "5000");
        assert_eq!(field(&letter, "reason").unwrap(), "not_json");
        assert_eq!(field(&letter, "message_id"), None);
    }

    #[test]
    fn malformed_payloads_are_told_apart_beyond_what_is_kept_of_them() {
        let identity = |end: &str| {
            let payload = Bytes::from(format!("{}{end}", "x".repeat(KEPT_UNFIT_BYTES)));
            let error = Message::parse(payload.clone()).unwrap_err();
            DeadLetter::malformed(Excerpt::of(&payload), &error).malformed_identity()
        };
        assert_eq!(identity("a"), identity("a"));
        assert_ne!(identity("a"), identity("b"));
        assert_ne!(identity("a"), identity("aa"));
    }

    #[test]
    fn a_message_is_kept_whole_and_a_long_error_is_cut_between_characters() {
        let message = Message::parse(Bytes::from_static(br#"{"message_id":"a"}"#)).unwrap();
        let reason = DeadLetterReason::Rejected;
        let letter = DeadLetter::new(&message, reason, 1, &"é".repeat(1000));
        assert_eq!(field(&letter, "payload").unwrap(), message.body());
        assert_eq!(field(&letter, "message_id").unwrap(), "a");
        assert_eq!(field(&letter, "attempts").unwrap(), "1");
        assert_eq!(field(&letter, "last_error").unwrap().len(), 512);
    }
}
