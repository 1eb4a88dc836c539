//! Finds the `message_id` of a JSON text and checks all of the rest, keeping nothing.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};

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
pub(super) struct Name<'a>(pub(super) Cow<'a, str>);

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
