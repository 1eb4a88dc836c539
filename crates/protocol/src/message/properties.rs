//! The properties of a message, each value as the JSON text it was published with.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// The members of the object as (name, JSON text of the value).
pub(super) struct RawProperties<'a>(pub(super) Vec<(String, &'a RawValue)>);

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
