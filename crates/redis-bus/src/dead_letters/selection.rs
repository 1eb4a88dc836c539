//! Which letters are meant, and reading them.

use std::collections::{BTreeSet, HashSet, VecDeque};

use protocol::{dead_letter::field, message::MESSAGE_ID};

use super::{DeadLetters, Letters, StoredLetter};
use crate::BusError;

/// Which letters are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// Those with these ids, of entries or of messages.
    Ids(Vec<String>),
    /// Those at these entries.
    Entries(Vec<String>),
    /// Those with this reason.
    Reason(String),
    /// All.
    All,
}

/// The letters that were meant when this was made.
#[derive(Debug)]
pub struct Selection {
    cursor: SelectionCursor,
    /// How many there are, where that is known.
    pub total: Option<u64>,
    /// The ids that are no letter's.
    pub missing: Vec<String>,
}

/// The way through the letters of a selection.
#[derive(Debug, Clone)]
pub enum SelectionCursor {
    /// One after the other.
    Entries(Box<DeadLetters>, VecDeque<String>),
    /// All with a reason, or all.
    Stream(Letters, Option<String>),
}

/// Some of the letters.
#[derive(Debug, Default)]
pub struct Page {
    /// Those that are there.
    pub letters: Vec<StoredLetter>,
    /// How many were there when the selection was made and are no more.
    pub gone: u64,
}

impl Selection {
    /// Finds the letters. An id that is both an entry's and a message's is taken for the entry's.
    ///
    /// # Errors
    /// [`BusError`] when Redis cannot be reached or refuses.
    pub async fn find(letters: &DeadLetters, choice: Choice) -> Result<Self, BusError> {
        let all = letters.letters().await?;
        let (cursor, total, missing) = match choice {
            Choice::All => (
                SelectionCursor::Stream(all, None),
                Some(letters.count().await?),
                vec![],
            ),
            Choice::Reason(reason) => (SelectionCursor::Stream(all, Some(reason)), None, vec![]),
            Choice::Entries(entries) => {
                let total = u64::try_from(entries.len()).ok();
                let cursor = SelectionCursor::Entries(Box::new(letters.clone()), entries.into());
                (cursor, total, vec![])
            }
            Choice::Ids(ids) => {
                let (entries, missing) = find_entries(letters, all, ids).await?;
                let total = u64::try_from(entries.len()).ok();
                (
                    SelectionCursor::Entries(Box::new(letters.clone()), entries),
                    total,
                    missing,
                )
            }
        };
        Ok(Self {
            cursor,
            total,
            missing,
        })
    }

    /// The way through them, from the first on; each time through the same.
    #[must_use]
    pub fn cursor(&self) -> SelectionCursor {
        self.cursor.clone()
    }

    /// The ids of all their messages; `progress` hears how many letters have been read.
    ///
    /// # Errors
    /// [`BusError`] when Redis cannot be reached or refuses.
    pub async fn message_ids(
        &self,
        mut progress: impl FnMut(u64),
    ) -> Result<HashSet<String>, BusError> {
        let (mut ids, mut read) = (HashSet::new(), 0);
        let mut cursor = self.cursor();
        while let Some(page) = cursor.next().await? {
            read += u64::try_from(page.letters.len()).unwrap_or(0);
            progress(read);
            let messages = page.letters.iter().filter_map(StoredLetter::message);
            ids.extend(messages.map(|message| message.id().to_string()));
        }
        Ok(ids)
    }
}

impl SelectionCursor {
    /// The next letters; `None` at the end.
    ///
    /// # Errors
    /// [`BusError`] when Redis cannot be reached or refuses.
    pub async fn next(&mut self) -> Result<Option<Page>, BusError> {
        match self {
            Self::Entries(letters, entries) => {
                let Some(entry) = entries.pop_front() else {
                    return Ok(None);
                };
                let found = letters.letter(&entry).await?;
                Ok(Some(Page {
                    gone: u64::from(found.is_none()),
                    letters: found.into_iter().collect(),
                }))
            }
            Self::Stream(letters, reason) => {
                let mut letters = letters.next().await?;
                if letters.is_empty() {
                    return Ok(None);
                }
                if let Some(reason) = reason {
                    letters.retain(|letter| letter.text(field::REASON) == *reason);
                }
                Ok(Some(Page { letters, gone: 0 }))
            }
        }
    }
}

/// The entries with these ids, in the order of the stream, and the ids that are nobody's.
async fn find_entries(
    letters: &DeadLetters,
    mut all: Letters,
    ids: Vec<String>,
) -> Result<(VecDeque<String>, Vec<String>), BusError> {
    let mut places = BTreeSet::new();
    let mut wanted = Vec::new();
    for id in ids {
        match place(&id) {
            Some(place) if letters.letter(&id).await?.is_some() => {
                places.insert(place);
            }
            _ => wanted.push(id),
        }
    }
    let mut found = HashSet::new();
    while !wanted.is_empty() {
        let page = all.next().await?;
        if page.is_empty() {
            break;
        }
        for letter in page {
            let id = letter.text(MESSAGE_ID);
            if wanted.contains(&id) {
                places.extend(place(&letter.entry));
                found.insert(id);
            }
        }
    }
    wanted.retain(|id| !found.contains(id));
    let entries = places
        .iter()
        .map(|(time, number)| format!("{time}-{number}"));
    Ok((entries.collect(), wanted))
}

/// The two numbers of an entry's id.
fn place(entry: &str) -> Option<(u64, u64)> {
    let (time, number) = entry.split_once('-')?;
    Some((time.parse().ok()?, number.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_looks_like_an_entry_is_taken_for_one() {
        assert_eq!(place("1700000000123-7"), Some((1_700_000_000_123, 7)));
        for id in [
            "",
            "-",
            "1",
            "1-",
            "-1",
            "a-1",
            "1-1-1",
            "99999999999999999999-0",
        ] {
            assert_eq!(place(id), None, "{id}");
        }
    }
}
