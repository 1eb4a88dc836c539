//! The list `consumer:ids` of registered consumers.
//!
//! Every change is one atomic step in Redis, a script or a single command, so that capacity and
//! "once" hold however many groups and consumers share the list. Entries stay as they were spelled, because
//! an original group looks for exactly what its consumer said; ours takes two spellings for one consumer.

use std::collections::HashSet;

use protocol::ConsumerId;
use redis::{Cmd, cmd};

use crate::{BusError, Connection, script::Script};

/// How many entries are removed in one step.
const REMOVED_AT_ONCE: usize = 10_000;

/// The outcome of a registration.
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
    /// The consumer ids, each once and as it is spelled first, in the order of the list.
    pub consumers: Vec<ConsumerId>,
    /// Entries that are no consumer ids, as they stand.
    pub malformed: Vec<Vec<u8>>,
}

impl Members {
    pub(crate) fn read(entries: Vec<Vec<u8>>) -> Self {
        let mut members = Self::default();
        let mut seen = HashSet::new();
        for entry in entries {
            match consumer_id(&entry) {
                Some(id) => {
                    if seen.insert(id.clone()) {
                        members.consumers.push(id);
                    }
                }
                None => members.malformed.push(entry),
            }
        }
        members
    }
}

/// The consumer that an entry names, if it names one.
fn consumer_id(entry: &[u8]) -> Option<ConsumerId> {
    std::str::from_utf8(entry).ok()?.parse().ok()
}

/// A handle on the list; clones share the connection.
#[derive(Debug, Clone)]
pub struct ConsumerList {
    connection: Connection,
    key: String,
    register: Script,
    remove: Script,
}

impl ConsumerList {
    /// The list under `key`.
    #[must_use]
    pub fn new(connection: Connection, key: String) -> Self {
        Self {
            connection,
            key,
            register: Script::new(include_str!("register.lua")),
            remove: Script::new(include_str!("remove.lua")),
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
        let call = async |has_compared: bool| {
            let call = |command: &mut Cmd| {
                command.arg(1).arg(&self.key).arg(id.as_str()).arg(capacity);
                command.arg(id.address()).arg(has_compared);
            };
            self.connection.script::<String>(&self.register, call).await
        };
        let mut answer = call(false).await?;
        if answer == "compare" {
            if self.is_spelled_otherwise(id).await? {
                return Ok(Registration::AlreadyMember);
            }
            answer = call(true).await?;
        }
        Ok(match answer.as_str() {
            "registered" => Registration::Registered,
            "already" => Registration::AlreadyMember,
            _ => Registration::Full,
        })
    }

    /// Removes consumers, however they are spelled; answers those of them that were there.
    ///
    /// # Errors
    /// [`BusError`] when Redis cannot be reached or refuses.
    pub async fn unregister(&self, ids: &[ConsumerId]) -> Result<Vec<ConsumerId>, BusError> {
        let unwanted: HashSet<&ConsumerId> = ids.iter().collect();
        let mut entries = self.entries().await?;
        entries.retain(|entry| consumer_id(entry).is_some_and(|id| unwanted.contains(&id)));
        self.remove(&entries).await?;
        Ok(Members::read(entries).consumers)
    }

    /// Removes entries, whatever they are.
    ///
    /// # Errors
    /// [`BusError`] when Redis cannot be reached or refuses.
    pub async fn remove(&self, entries: &[Vec<u8>]) -> Result<(), BusError> {
        for entries in entries.chunks(REMOVED_AT_ONCE) {
            let call = |command: &mut Cmd| {
                command.arg(1).arg(&self.key).arg(entries);
            };
            self.connection.script::<()>(&self.remove, call).await?;
        }
        Ok(())
    }

    /// Whether a consumer is in the list, however it is spelled.
    ///
    /// # Errors
    /// [`BusError`] when Redis cannot be reached or refuses.
    pub async fn is_member(&self, id: &ConsumerId) -> Result<bool, BusError> {
        let place: Option<u64> = self
            .connection
            .query(cmd("LPOS").arg(&self.key).arg(id.as_str()))
            .await?;
        Ok(place.is_some() || self.is_spelled_otherwise(id).await?)
    }

    /// Whether the list holds another spelling of a consumer.
    async fn is_spelled_otherwise(&self, id: &ConsumerId) -> Result<bool, BusError> {
        let is_other = |known: &ConsumerId| known == id && known.as_str() != id.as_str();
        let entries = self.entries().await?;
        let mut ids = entries.iter().filter_map(|entry| consumer_id(entry));
        Ok(ids.any(|known| is_other(&known)))
    }

    /// The whole list.
    ///
    /// # Errors
    /// [`BusError`] when Redis cannot be reached or refuses.
    pub async fn members(&self) -> Result<Members, BusError> {
        Ok(Members::read(self.entries().await?))
    }

    async fn entries(&self) -> Result<Vec<Vec<u8>>, BusError> {
        let range = cmd("LRANGE").arg(&self.key).arg(0).arg(-1).to_owned();
        self.connection.query(&range).await
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
