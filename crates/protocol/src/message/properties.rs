//! The properties of a message, as text.

use std::{borrow::Cow, collections::HashMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{MESSAGE_ID, head::Name};

/// Up to so many names are compared one by one, which costs less than to hash them. More are hashed, so
/// that thousands do not cost millions of comparisons.
const FEW: usize = 16;

/// How many properties there is room for at first.
const USUAL: usize = 8;

/// Every property but `message_id` as (name, value), each name once. What needs no unescaping is
/// borrowed from the message's own text.
pub(super) struct Properties<'a> {
    list: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// Where each name is in the list, once there are more than [`FEW`].
    places: HashMap<Cow<'a, str>, usize>,
}

impl<'a> Properties<'a> {
    pub(super) fn into_list(self) -> Vec<(Cow<'a, str>, Cow<'a, str>)> {
        self.list
    }

    /// Adds a property, or gives one that is there another value.
    fn set(&mut self, name: Cow<'a, str>, value: Cow<'a, str>) {
        match self.place(&name) {
            Some(place) => self.list[place].1 = value,
            None => {
                if self.list.len() >= FEW {
                    self.places.insert(name.clone(), self.list.len());
                }
                self.list.push((name, value));
            }
        }
    }

    fn place(&mut self, name: &str) -> Option<usize> {
        if self.list.len() < FEW {
            return self.list.iter().position(|(known, _)| known == name);
        }
        if self.places.is_empty() {
            let names = self.list.iter().map(|(name, _)| name.clone());
            self.places = names.zip(0..).collect();
        }
        self.places.get(name).copied()
    }
}

impl<'de> Deserialize<'de> for Properties<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PropertiesVisitor)
    }
}

struct PropertiesVisitor;

impl<'de> Visitor<'de> for PropertiesVisitor {
    type Value = Properties<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut properties = Properties {
            list: Vec::with_capacity(USUAL),
            places: HashMap::new(),
        };
        while let Some((Name(name), value)) = members.next_entry()? {
            if name != MESSAGE_ID {
                properties.set(name, text(value).map_err(Error::custom)?);
            }
        }
        Ok(properties)
    }
}

/// A string's content, or any other value's JSON text.
fn text(value: &RawValue) -> serde_json::Result<Cow<'_, str>> {
    Ok(string(value)?.unwrap_or(Cow::Borrowed(value.get())))
}

/// A string's content; `None` for any other value.
pub(super) fn string(value: &RawValue) -> serde_json::Result<Option<Cow<'_, str>>> {
    let json = value.get();
    let quoted = json
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    match quoted {
        None => Ok(None),
        Some(content) if !content.contains('\\') => Ok(Some(Cow::Borrowed(content))),
        Some(_) => serde_json::from_str(json).map(|text| Some(Cow::Owned(text))),
    }
}
