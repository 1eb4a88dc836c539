//! The list `consumer:ids` of registered consumers.
//!
//! Every change is one atomic step in Redis, a script or a single command, so that capacity and
//! "once" hold however many groups and consumers share the list.

use std::collections::HashSet;

use protocol::ConsumerId;
use redis::{Cmd, cmd};

use crate::{BusError, Connection, script::Script};

/// What became of a wish to register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    /// It was added.
    Registered,
    /// It was in the list.
    AlreadyMember,
    /// It was not added: the list holds as many as it may.
    Full,
}

/// The list as it stands in Redis.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Members {
    /// The consumer ids, each once, in the order of the list.
    pub consumers: Vec<ConsumerId>,
    /// Entries that are no consumer ids, as they stand.
    pub malformed: Vec<Vec<u8>>,
}

impl Members {
    pub(crate) fn read(entries: Vec<Vec<u8>>) -> Self {
        let mut members = Self::default();
        let mut seen = HashSet::new();
        for entry in entries {
            let id = std::str::from_utf8(&entry)
                .ok()
                .and_then(|text| text.parse().ok());
            match id {
                Some(id) => {
                    if seen.insert(ConsumerId::clone(&id)) {
                        members.consumers.push(id);
                    }
                }
                None => members.malformed.push(entry),
            }
        }
        members
    }
}

/// A handle on the list; clones share the connection.
#[derive(Debug, Clone)]
pub struct ConsumerList {
    connection: Connection,
    key: String,
    register: Script,
}

impl ConsumerList {
    /// The list under `key`.
    #[must_use]
    pub fn new(connection: Connection, key: String) -> Self {
        let register = Script::new(include_str!("register.lua"));
        Self {
            connection,
            key,
            register,
        }
    }

    /// Adds a consumer unless it is there or the list holds `capacity` ids.
    ///
    /// # Errors
    /// [`BusError`] when Redis cannot be reached or refuses.
    pub async fn register(
        &self,
        id: &ConsumerId,
        capacity: usize,
    ) -> Result<Registration, BusError> {
        let call = |command: &mut Cmd| {
            command.arg(1).arg(&self.key).arg(id.as_str()).arg(capacity);
        };
        let answer: String = self.connection.script(&self.register, call).await?;
        Ok(match answer.as_str() {
            "registered" => Registration::Registered,
            "already" => Registration::AlreadyMember,
            _ => Registration::Full,
        })
    }

    /// Removes a consumer; says whether it was there.
    ///
    /// # Errors
    /// [`BusError`] when Redis cannot be reached or refuses.
    pub async fn unregister(&self, id: &ConsumerId) -> Result<bool, BusError> {
        self.remove(id.as_str().as_bytes()).await
    }

    /// Removes an entry, whatever it is; says whether it was there.
    ///
    /// # Errors
    /// [`BusError`] when Redis cannot be reached or refuses.
    pub async fn remove(&self, entry: &[u8]) -> Result<bool, BusError> {
        let removed: u64 = self
            .connection
            .query(cmd("LREM").arg(&self.key).arg(0).arg(entry))
            .await?;
        Ok(removed > 0)
    }

    /// Whether a consumer is in the list.
    ///
    /// # Errors
    /// [`BusError`] when Redis cannot be reached or refuses.
    pub async fn is_member(&self, id: &ConsumerId) -> Result<bool, BusError> {
        let place: Option<u64> = self
            .connection
            .query(cmd("LPOS").arg(&self.key).arg(id.as_str()))
            .await?;
        Ok(place.is_some())
    }

    /// The whole list.
    ///
    /// # Errors
    /// [`BusError`] when Redis cannot be reached or refuses.
    pub async fn members(&self) -> Result<Members, BusError> {
        let entries = self
            .connection
            .query(cmd("LRANGE").arg(&self.key).arg(0).arg(-1))
            .await?;
        Ok(Members::read(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_told_apart_and_each_consumer_counts_once() {
        let entries = ["a:1", "", "b:2", "a:1", "http://c:3", "\u{0}"];
        let members = Members::read(
            entries
                .iter()
                .map(|entry| entry.as_bytes().to_vec())
                .collect(),
        );
        let ids: Vec<_> = members.consumers.iter().map(ConsumerId::as_str).collect();
        assert_eq!(ids, ["a:1", "b:2"]);
        assert_eq!(members.malformed, [&b""[..], b"http://c:3", b"\0"]);
    }
}
