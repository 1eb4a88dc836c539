//! Reading a stream from its first entry on, page by page.

use redis::cmd;

use crate::{BusError, Connection};

/// How many entries the first page has.
const FIRST: usize = 16;

/// The most entries of a page.
const MOST: usize = 512;

/// How many bytes a page should have: large messages must come neither too slowly nor all at once.
const BYTES: usize = 1 << 20;

/// An entry as it was read: its id, and its fields in order.
pub(super) type Entry = (String, Vec<(String, Vec<u8>)>);

/// A place in a stream, and how many entries to read from there. At the end it stays there, and goes
/// on when there is more.
#[derive(Debug, Clone)]
pub(super) struct Place {
    after: Option<String>,
    count: usize,
}

impl Place {
    /// Before the first entry.
    pub(super) fn start() -> Self {
        let (after, count) = (None, FIRST);
        Self { after, count }
    }

    /// The entries after this place, as `XRANGE` takes it.
    pub(super) fn after(&self) -> String {
        match &self.after {
            Some(after) => format!("({after}"),
            None => "-".to_owned(),
        }
    }

    /// How many entries to read.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Goes on to the last of so many entries, which have so many bytes.
    pub(super) fn advance(&mut self, last: String, entries: usize, bytes: usize) {
        self.after = Some(last);
        let fitting = entries.saturating_mul(BYTES) / bytes.max(1);
        self.count = fitting.clamp(1, (self.count * 2).min(MOST));
    }
}

/// The entries of a stream, from the first to a certain one. A clone goes on from the same place.
#[derive(Debug, Clone)]
pub(super) struct Pages {
    connection: Connection,
    key: String,
    place: Place,
    until: String,
}

impl Pages {
    /// The stream `key`, which is read until the entry `until`.
    pub(super) fn new(connection: Connection, key: String, until: String) -> Self {
        Self {
            connection,
            key,
            place: Place::start(),
            until,
        }
    }

    /// The next entries; none at the end.
    pub(super) async fn next(&mut self) -> Result<Vec<Entry>, BusError> {
        let mut command = cmd("XRANGE");
        command.arg(&self.key).arg(self.place.after());
        command
            .arg(&self.until)
            .arg("COUNT")
            .arg(self.place.count());
        let page: Vec<Entry> = self.connection.query(&command).await?;
        if let Some((last, _)) = page.last() {
            self.place.advance(last.clone(), page.len(), bytes(&page));
        }
        Ok(page)
    }
}

fn bytes(page: &[Entry]) -> usize {
    let fields = page.iter().flat_map(|(_, fields)| fields);
    fields.map(|(name, value)| name.len() + value.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count_after(count: usize, entries: usize, bytes: usize) -> usize {
        let after = None;
        let mut place = Place { after, count };
        place.advance("1-0".to_owned(), entries, bytes);
        assert_eq!(place.after(), "(1-0");
        place.count()
    }

    #[test]
    fn pages_of_small_entries_grow_and_those_of_large_ones_shrink() {
        assert_eq!(count_after(16, 16, 16 * 100), 32);
        assert_eq!(count_after(MOST, MOST, MOST * 100), MOST);
        assert_eq!(count_after(100, 100, 100 << 20), 1);
        assert_eq!(count_after(16, 16, 16 * BYTES / 8), 8);
        assert_eq!(count_after(64, 1, 100), 128);
        assert_eq!(count_after(1, 1, 0), 2);
    }
}
