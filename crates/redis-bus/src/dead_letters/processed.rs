//! Which messages are in the stream of processed messages.

use redis::Cmd;

use super::pages::Place;
use crate::{BusError, Connection, script::Script};

/// The ids of the messages that have an entry in the stream of processed messages, oldest first.
#[derive(Debug)]
pub struct ProcessedIds {
    connection: Connection,
    key: String,
    place: Place,
    read: Script,
}

/// What the script answers: entries, bytes, last entry, ids.
type Answer = (usize, usize, String, Vec<Vec<u8>>);

impl ProcessedIds {
    pub(super) fn new(connection: Connection, key: String) -> Self {
        Self {
            connection,
            key,
            place: Place::start(),
            read: Script::new(concat!(
                "#!lua flags=no-writes\n",
                include_str!("processed_ids.lua")
            )),
        }
    }

    /// The next ids; none when all were read. Called again later, it returns what has come since.
    ///
    /// # Errors
    /// [`BusError`] when Redis cannot be reached or refuses.
    ///
    /// # Cancel safety
    /// Safe: what was not returned is returned by the next call.
    pub async fn next(&mut self) -> Result<Vec<String>, BusError> {
        loop {
            let (start, count) = (self.place.after(), self.place.count());
            let call = |command: &mut Cmd| {
                command.arg(1).arg(&self.key).arg(&start).arg(count);
            };
            let (entries, bytes, last, ids): Answer =
                self.connection.script(&self.read, call).await?;
            if entries == 0 {
                return Ok(Vec::new());
            }
            self.place.advance(last, entries, bytes);
            let ids = ids.into_iter().map(String::from_utf8);
            let ids: Vec<_> = ids.filter_map(Result::ok).collect();
            // A page may hold nothing but entries that are not ours.
            if !ids.is_empty() {
                return Ok(ids);
            }
        }
    }
}
