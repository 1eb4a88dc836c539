//! Finds the `message_id` of a JSON text and reads past all of the rest.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::MESSAGE_ID;

/// What [`Message::parse`](super::Message::parse) wants to know of the text.
pub(super) enum Head<'a> {
    NotAnObject,
    Object(Id<'a>),
}

/// The `message_id` as found so far.
pub(super) enum Id<'a> {
    Missing,
    Repeated,
    NotText,
    Text(Cow<'a, str>),
}

/// Reads the head of a JSON text.
///
/// Values are checked for their form alone, so that numbers may be of any size.
pub(super) fn read_head(json: &str) -> serde_json::Result<Head<'_>> {
    if json.trim_ascii_start().starts_with('{') {
        return serde_json::from_str(json).map(Head::Object);
    }
    serde_json::from_str::<IgnoredAny>(json).map(|IgnoredAny| Head::NotAnObject)
}

impl<'de> Deserialize<'de> for Id<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeadVisitor)
    }
}

struct HeadVisitor;

impl<'de> Visitor<'de> for HeadVisitor {
    type Value = Id<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut id = Id::Missing;
        while let Some(Name(name)) = members.next_key()? {
            if name != MESSAGE_ID {
                members.next_value::<IgnoredAny>()?;
            } else if let Id::Missing = id {
                id = id_of(members.next_value()?).map_err(A::Error::custom)?;
            } else {
                members.next_value::<IgnoredAny>()?;
                id = Id::Repeated;
            }
        }
        Ok(id)
    }
}

fn id_of(value: &RawValue) -> serde_json::Result<Id<'_>> {
    match super::properties::string(value)? {
        Some(text) => Ok(Id::Text(text)),
        None => Ok(Id::NotText),
    }
}

/// A property's name, borrowed from the text unless it holds an escape.
#[derive(Deserialize)]
pub(super) struct Name<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);
