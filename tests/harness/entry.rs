//! Entries of a stream.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use local_stack::redis::{self, aio::MultiplexedConnection, streams::StreamRangeReply};
use serde_json::Value;

/// An entry of a stream: its fields, each once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry(BTreeMap<String, Vec<u8>>);

impl Entry {
    /// A field as text.
    ///
    /// # Errors
    /// When there is no such field.
    pub fn text(&self, name: &str) -> Result<String> {
        Ok(String::from_utf8_lossy(self.bytes(name)?).into_owned())
    }

    /// A field as it is.
    ///
    /// # Errors
    /// When there is no such field.
    pub fn bytes(&self, name: &str) -> Result<&[u8]> {
        let value = self.0.get(name);
        Ok(value.with_context(|| format!("no field {name} in {:?}", self.names()))?)
    }

    /// The names of all fields, in order of the alphabet.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }
}

/// The message ids of entries, in their order.
///
/// # Errors
/// When an entry has none.
pub fn ids(entries: &[Entry]) -> Result<Vec<String>> {
    entries
        .iter()
        .map(|entry| entry.text("message_id"))
        .collect()
}

/// The message ids that more than one of the entries has.
///
/// # Errors
/// When an entry has none.
pub fn repeated(entries: &[Entry]) -> Result<Vec<String>> {
    let mut seen = BTreeSet::new();
    let ids = ids(entries)?.into_iter();
    Ok(ids.filter(|id| !seen.insert(id.clone())).collect())
}

/// A field that holds JSON.
///
/// # Errors
/// When there is no such field, or it is no JSON.
pub fn json(entry: &Entry, name: &str) -> Result<Value> {
    Ok(serde_json::from_slice(entry.bytes(name)?)?)
}

/// All entries of a stream, oldest first.
pub(crate) async fn entries(
    connection: &mut MultiplexedConnection,
    stream: &str,
) -> Result<Vec<Entry>> {
    let reply: StreamRangeReply = redis::cmd("XRANGE")
        .arg(&[stream, "-", "+"])
        .query_async(connection)
        .await?;
    let read = |(name, value): (String, redis::Value)| {
        Ok((name, redis::from_redis_value::<Vec<u8>>(value)?))
    };
    reply
        .ids
        .into_iter()
        .map(|entry| entry.map.into_iter().map(read).collect::<Result<_>>())
        .map(|fields| fields.map(Entry))
        .collect()
}
