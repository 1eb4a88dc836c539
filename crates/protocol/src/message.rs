//! The message as it was published, and its id.

mod head;
mod properties;
mod text;

use std::{borrow::Cow, fmt, str::Utf8Error};

use bytes::{Buf, Bytes};
use serde::Deserialize;

use self::{
    head::{Head, Id, read_head},
    properties::Properties,
};

/// The largest message the system carries, in bytes of JSON (1 MiB).
pub const MAX_MESSAGE_BYTES: usize = 1 << 20;

/// The longest message id, in bytes of UTF-8.
pub const MAX_MESSAGE_ID_BYTES: usize = 256;

/// How deep a message may be nested; its own object is the first level. Parsers of consumers go no further.
pub const MAX_NESTING: usize = 127;

/// What some editors write before a text (U+FEFF in UTF-8). A parser may ignore it (RFC 8259, section 8.1).
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The property every message carries.
pub const MESSAGE_ID: &str = "message_id";

/// The id a publisher gave its message: 1 to [`MAX_MESSAGE_ID_BYTES`] bytes of text.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(Box<str>);

impl MessageId {
    /// Checks the length and takes the text as it is; any character is allowed.
    ///
    /// # Errors
    /// [`MessageError::EmptyId`] and [`MessageError::LongId`].
    pub fn new(text: &str) -> Result<Self, MessageError> {
        match text.len() {
            0 => Err(MessageError::EmptyId),
            1..=MAX_MESSAGE_ID_BYTES => Ok(Self(text.into())),
            bytes => Err(MessageError::LongId { bytes }),
        }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// A JSON object with a string `message_id`, kept byte for byte as it was published.
///
/// ```json
/// {"message_id": "0b6f…", "any": "further", "properties": [1, 2, 3]}
/// ```
///
/// Cloning is cheap: the bytes are shared.
#[derive(Clone)]
pub struct Message {
    id: MessageId,
    body: Bytes,
}

impl Message {
    /// Checks that `body` is a message. A byte order mark before it is left out.
    ///
    /// The whole text is checked, so that what is accepted here can be read by any consumer later. Numbers
    /// may be of any size: RFC 8259 sets no limit to them, and they are handed on as they stand.
    ///
    /// # Errors
    /// Every variant of [`MessageError`]; the first rule broken decides.
    pub fn parse(mut body: Bytes) -> Result<Self, MessageError> {
        let id = Self::check(&body)?;
        if body.starts_with(BYTE_ORDER_MARK) {
            body.advance(BYTE_ORDER_MARK.len());
        }
        Ok(Self { id, body })
    }

    /// Checks that a payload is a message, and answers its id.
    ///
    /// # Errors
    /// As [`Message::parse`].
    pub fn check(payload: &[u8]) -> Result<MessageId, MessageError> {
        if payload.len() > MAX_MESSAGE_BYTES {
            return Err(MessageError::TooLarge {
                bytes: payload.len(),
            });
        }
        let body = payload.strip_prefix(BYTE_ORDER_MARK).unwrap_or(payload);
        let json = str::from_utf8(body).map_err(MessageError::NotUtf8)?;
        text::check(json)?;
        let head = read_head(json).map_err(|error| not_json(json, error))?;
        let id = match head {
            Head::NotAnObject => return Err(MessageError::NotAnObject),
            Head::Object(id) => id,
        };
        match id {
            Id::Missing => Err(MessageError::MissingId),
            Id::Repeated => Err(MessageError::RepeatedId),
            Id::NotText => Err(MessageError::IdNotText),
            Id::Text(text) => MessageId::new(&text),
        }
    }

    /// The id the publisher gave it.
    #[must_use]
    pub fn id(&self) -> &MessageId {
        &self.id
    }

    /// The JSON text, as published.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Reads the message into a type of yours.
    ///
    /// # Errors
    /// [`DeserializeError`] when the message does not have the shape of `T`.
    pub fn deserialize<'a, T: Deserialize<'a>>(&'a self) -> Result<T, DeserializeError> {
        read(&self.body).map_err(DeserializeError)
    }

    /// Every property but `message_id`, in the order of the text: strings as they are, any other
    /// value as the JSON text it was published with. Of a repeated name the last value counts.
    ///
    /// # Errors
    /// When a property's name or value is not valid Unicode text, which [`Message::parse`] has
    /// already refused.
    pub fn properties(&self) -> serde_json::Result<Vec<(Cow<'_, str>, Cow<'_, str>)>> {
        let properties: Properties<'_> = read(&self.body)?;
        Ok(properties.into_list())
    }
}

/// The properties of a JSON object that is no message, `message_id` left out, as [`Message::properties`].
pub(crate) fn properties_of(json: &str) -> serde_json::Result<Vec<(Cow<'_, str>, Cow<'_, str>)>> {
    let properties: Properties<'_> = serde_json::from_str(json)?;
    Ok(properties.into_list())
}

impl fmt::Debug for Message {
    /// Shows id and size only: bodies do not belong in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("id", &self.id)
            .field("bytes", &self.body.len())
            .finish()
    }
}

/// Reads JSON. As text, checked all at once, it is read faster than as bytes, checked string by string.
fn read<'a, T: Deserialize<'a>>(json: &'a [u8]) -> serde_json::Result<T> {
    match str::from_utf8(json) {
        Ok(text) => serde_json::from_str(text),
        // This error says where.
        Err(_) => serde_json::from_slice(json),
    }
}

/// What is wrong with a text that is no JSON. Python writes three numbers that JSON does not have.
fn not_json(json: &str, error: serde_json::Error) -> MessageError {
    let line = json.split('\n').nth(error.line().saturating_sub(1));
    let found = line.and_then(|line| line.get(error.column().saturating_sub(1)..));
    let is_no_number = |text: &str| {
        ["NaN", "Infinity"]
            .iter()
            .any(|name| text.starts_with(name))
    };
    match found {
        Some(text) if is_no_number(text) => MessageError::NoNumber(error),
        _ => MessageError::NotJson(error),
    }
}

/// A message that does not have the shape it was to be read into.
#[derive(Debug, thiserror::Error)]
#[error("message does not have the expected shape: {0}")]
pub struct DeserializeError(serde_json::Error);

/// Why bytes are not a message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// Longer than [`MAX_MESSAGE_BYTES`]; it was not looked into.
    #[error("message of {bytes} bytes is larger than {MAX_MESSAGE_BYTES}")]
    TooLarge {
        /// The length that was refused.
        bytes: usize,
    },
    /// Not UTF-8, which JSON is written in.
    #[error("message is not UTF-8 text: {0}")]
    NotUtf8(Utf8Error),
    /// Not JSON.
    #[error("message is not valid JSON: {0}")]
    NotJson(serde_json::Error),
    /// A number that JSON does not have.
    #[error("message is not valid JSON, which has no NaN and no Infinity: {0}")]
    NoNumber(serde_json::Error),
    /// Nested deeper than [`MAX_NESTING`].
    #[error("message is nested deeper than {MAX_NESTING} levels")]
    TooDeep,
    /// An escape that is half of a pair.
    #[error("`\\u{unit:04x}` at byte {at} is half of a surrogate pair and stands for no character")]
    LoneSurrogate {
        /// Where it stands, in bytes from the start, counted from 1.
        at: usize,
        /// The number of the escape.
        unit: u16,
    },
    /// JSON, but an array, a string, a number or the like.
    #[error("message is not a JSON object")]
    NotAnObject,
    /// An object without `message_id`.
    #[error("property `message_id` is missing")]
    MissingId,
    /// An object with more than one `message_id`.
    #[error("property `message_id` is given more than once")]
    RepeatedId,
    /// A `message_id` that is a number, null, or the like.
    #[error("property `message_id` is not a string")]
    IdNotText,
    /// A `message_id` of no characters.
    #[error("property `message_id` is empty")]
    EmptyId,
    /// A `message_id` longer than [`MAX_MESSAGE_ID_BYTES`].
    #[error("property `message_id` of {bytes} bytes is longer than {MAX_MESSAGE_ID_BYTES}")]
    LongId {
        /// The length that was refused.
        bytes: usize,
    },
}

#[cfg(test)]
mod tests;
