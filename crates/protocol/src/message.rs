//! The message as it was published, and its id.

use std::{borrow::Cow, collections::HashMap, fmt};

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

/// The largest message the system carries, in bytes of JSON (1 MiB).
pub const MAX_MESSAGE_BYTES: usize = 1 << 20;

/// The longest message id, in bytes of UTF-8.
pub const MAX_MESSAGE_ID_BYTES: usize = 256;

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
    /// Checks that `body` is a message, reading no more of it than that takes.
    ///
    /// The whole text is checked, with `serde_json`'s nesting limit of 128, so that what is accepted
    /// here can be read by any consumer later.
    ///
    /// # Errors
    /// Every variant of [`MessageError`]; the first rule broken decides.
    pub fn parse(body: Bytes) -> Result<Self, MessageError> {
        if body.len() > MAX_MESSAGE_BYTES {
            return Err(MessageError::TooLarge { bytes: body.len() });
        }
        let id = match serde_json::from_slice(&body)? {
            Head::NotAnObject => return Err(MessageError::NotAnObject),
            Head::Object(id) => id,
        };
        let id = match id {
            Id::Missing => return Err(MessageError::MissingId),
            Id::Repeated => return Err(MessageError::RepeatedId),
            Id::NotText => return Err(MessageError::IdNotText),
            Id::Text(text) => MessageId::new(&text)?,
        };
        Ok(Self { id, body })
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
    /// When the message does not have the shape of `T`.
    pub fn deserialize<'a, T: Deserialize<'a>>(&'a self) -> serde_json::Result<T> {
        serde_json::from_slice(&self.body)
    }

    /// Every property but `message_id`, in the order of the text: strings as they are, any other
    /// value as the JSON text it was published with. Of a repeated name the last value counts.
    ///
    /// # Errors
    /// When a property's name or value is not valid Unicode text, which [`Message::parse`] has
    /// already refused.
    pub fn properties(&self) -> serde_json::Result<Vec<(String, String)>> {
        let raw: RawProperties<'_> = serde_json::from_slice(&self.body)?;
        let mut properties: Vec<(String, String)> = Vec::with_capacity(raw.0.len());
        let mut places = HashMap::with_capacity(raw.0.len());
        for (name, value) in raw.0 {
            if name == MESSAGE_ID {
                continue;
            }
            let text = match value.get() {
                quoted if quoted.starts_with('"') => serde_json::from_str(quoted)?,
                other => other.to_owned(),
            };
            match places.get(&name) {
                Some(&place) => {
                    let (_, earlier): &mut (String, String) = &mut properties[place];
                    *earlier = text;
                }
                None => {
                    places.insert(name.clone(), properties.len());
                    properties.push((name, text));
                }
            }
        }
        Ok(properties)
    }
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
    /// Not JSON, not UTF-8, or nested too deeply.
    #[error("message is not valid JSON: {0}")]
    NotJson(#[from] serde_json::Error),
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

/// What [`Message::parse`] wants to know of the text.
enum Head<'a> {
    NotAnObject,
    Object(Id<'a>),
}

/// The `message_id` as found so far.
enum Id<'a> {
    Missing,
    Repeated,
    NotText,
    Text(Cow<'a, str>),
}

impl<'de> Deserialize<'de> for Head<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(HeadVisitor)
    }
}

/// Answers the `visit_*` calls of every scalar in the same way.
macro_rules! scalars {
    ($answer:expr) => {
        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
            Ok($answer)
        }
        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
            Ok($answer)
        }
        fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
            Ok($answer)
        }
        fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
            Ok($answer)
        }
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok($answer)
        }
    };
}

/// Reads past the elements of an array, checking each.
fn skip_elements<'de, A: SeqAccess<'de>>(mut elements: A) -> Result<(), A::Error> {
    while elements.next_element::<Checked>()?.is_some() {}
    Ok(())
}

/// Reads past the members of an object, checking each.
fn skip_members<'de, A: MapAccess<'de>>(mut members: A) -> Result<(), A::Error> {
    while members.next_entry::<Checked, Checked>()?.is_some() {}
    Ok(())
}

struct HeadVisitor;

impl<'de> Visitor<'de> for HeadVisitor {
    type Value = Head<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    scalars!(Head::NotAnObject);

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(Head::NotAnObject)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, elements: A) -> Result<Self::Value, A::Error> {
        skip_elements(elements)?;
        Ok(Head::NotAnObject)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut id = Id::Missing;
        while let Some(Name(name)) = members.next_key()? {
            if name != MESSAGE_ID {
                members.next_value::<Checked>()?;
            } else if let Id::Missing = id {
                id = members.next_value()?;
            } else {
                members.next_value::<Checked>()?;
                id = Id::Repeated;
            }
        }
        Ok(Head::Object(id))
    }
}

impl<'de> Deserialize<'de> for Id<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(IdVisitor)
    }
}

struct IdVisitor;

impl<'de> Visitor<'de> for IdVisitor {
    type Value = Id<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message id")
    }

    scalars!(Id::NotText);

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Id::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Id::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, elements: A) -> Result<Self::Value, A::Error> {
        skip_elements(elements)?;
        Ok(Id::NotText)
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Self::Value, A::Error> {
        skip_members(members)?;
        Ok(Id::NotText)
    }
}

/// Any JSON value, read and thrown away.
///
/// Unlike [`serde::de::IgnoredAny`] it goes through `deserialize_any`, where `serde_json` counts the nesting
/// and checks Unicode escapes and the range of numbers, as a consumer's parser will.
struct Checked;

impl<'de> Deserialize<'de> for Checked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CheckedVisitor)
    }
}

struct CheckedVisitor;

impl<'de> Visitor<'de> for CheckedVisitor {
    type Value = Checked;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    scalars!(Checked);

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(Checked)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, elements: A) -> Result<Self::Value, A::Error> {
        skip_elements(elements)?;
        Ok(Checked)
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Self::Value, A::Error> {
        skip_members(members)?;
        Ok(Checked)
    }
}

/// A property's name, borrowed from the text unless it holds an escape.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_str(IdVisitor)? {
            Id::Text(text) => Ok(Self(text)),
            Id::Missing | Id::Repeated | Id::NotText => {
                Err(serde::de::Error::custom("property name is not a string"))
            }
        }
    }
}

/// The members of the object as (name, JSON text of the value).
struct RawProperties<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for RawProperties<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RawPropertiesVisitor)
    }
}

struct RawPropertiesVisitor;

impl<'de> Visitor<'de> for RawPropertiesVisitor {
    type Value = RawProperties<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut properties = Vec::new();
        while let Some(property) = members.next_entry()? {
            properties.push(property);
        }
        Ok(RawProperties(properties))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Message, MessageError> {
        Message::parse(Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn a_message_keeps_its_bytes_and_knows_its_id() {
        let text = r#" {"a":1, "message_id":"x\u00e9", "b":{"c":[true,null,1.5,-2]}} "#;
        let message = parse(text).unwrap();
        assert_eq!(message.id().as_str(), "xé");
        assert_eq!(message.body().as_ref(), text.as_bytes());
    }

    #[test]
    fn whatever_is_not_a_message_is_refused_with_its_reason() {
        use MessageError as E;
        assert!(matches!(parse(""), Err(E::NotJson(_))));
        assert!(matches!(parse("\u{0}\u{1}"), Err(E::NotJson(_))));
        assert!(matches!(
            parse(r#"{"message_id":"a"} x"#),
            Err(E::NotJson(_))
        ));
        assert!(matches!(
            parse(r#"{"message_id":"a","b":"\ud800"}"#),
            Err(E::NotJson(_))
        ));
        assert!(matches!(
            parse(r#"{"message_id":"a","b":1e999}"#),
            Err(E::NotJson(_))
        ));
        for other in [
            "1",
            "-1",
            "1.5",
            "null",
            "true",
            r#""text""#,
            r#"["message_id","a"]"#,
        ] {
            assert!(matches!(parse(other), Err(E::NotAnObject)), "{other}");
        }
        assert!(matches!(parse("{}"), Err(E::MissingId)));
        for id in ["1", "-1", "1.5", "null", "true", "[]", r#"{"a":1}"#] {
            let text = format!(r#"{{"message_id":{id}}}"#);
            assert!(matches!(parse(&text), Err(E::IdNotText)), "{id}");
        }
        assert!(matches!(parse(r#"{"message_id":""}"#), Err(E::EmptyId)));
        let twice = r#"{"message_id":"a","message_id":"b"}"#;
        assert!(matches!(parse(twice), Err(E::RepeatedId)));
    }

    #[test]
    fn an_id_may_have_256_bytes_and_no_more() {
        let text = |bytes| format!(r#"{{"message_id":"{}"}}"#, "x".repeat(bytes));
        assert!(parse(&text(MAX_MESSAGE_ID_BYTES)).is_ok());
        assert!(matches!(
            parse(&text(257)),
            Err(MessageError::LongId { bytes: 257 })
        ));
    }

    #[test]
    fn a_message_may_have_one_mebibyte_and_no_more() {
        let text = |bytes| format!(r#"{{"message_id":"a","b":"{}"}}"#, "x".repeat(bytes));
        let overhead = text(0).len();
        assert!(parse(&text(MAX_MESSAGE_BYTES - overhead)).is_ok());
        let larger = parse(&text(MAX_MESSAGE_BYTES - overhead + 1));
        assert!(matches!(larger, Err(MessageError::TooLarge { .. })));
    }

    #[test]
    fn nesting_is_limited_as_in_the_consumers_parser() {
        let nested = |depth| {
            let (open, close) = ("[".repeat(depth), "]".repeat(depth));
            format!(r#"{{"message_id":"a","b":{open}{close}}}"#)
        };
        for depth in [1, 125, 126, 127, 128, 100_000] {
            let accepted = parse(&nested(depth)).is_ok();
            let readable = serde_json::from_str::<serde_json::Value>(&nested(depth)).is_ok();
            assert_eq!(accepted, readable, "depth {depth}");
        }
        assert!(parse(&nested(100_000)).is_err());
    }

    #[test]
    fn properties_are_text_or_the_json_they_were_published_as() {
        let text =
            r#"{"s":"a\"b","message_id":"x","n":1.50,"o":{"k": [1, 2]},"z":null,"s":"last"}"#;
        let properties = parse(text).unwrap().properties().unwrap();
        let expected = [
            ("s", "last"),
            ("n", "1.50"),
            ("o", r#"{"k": [1, 2]}"#),
            ("z", "null"),
        ];
        assert_eq!(
            properties,
            expected.map(|(n, v)| (n.to_owned(), v.to_owned()))
        );
    }
}
