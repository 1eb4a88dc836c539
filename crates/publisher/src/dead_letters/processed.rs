//! Which of the messages to be replayed have been processed after all.

use std::collections::HashSet;

use anyhow::Result;
use redis_bus::dead_letters::{DeadLetters, ProcessedIds};

/// What is known about some messages.
///
/// The whole stream of processed messages is read, not only what is younger than the letters: a
/// message can have been processed before its letter was written, when the answer was lost and its id
/// is forgotten by now. What is added while messages are replayed is read as it comes.
#[derive(Debug)]
pub(super) struct Processed {
    ids: ProcessedIds,
    /// The messages that are asked about.
    asked: HashSet<String>,
    processed: HashSet<String>,
    read: u64,
}

impl Processed {
    /// What is known about `asked`; nothing yet.
    pub(super) fn new(letters: &DeadLetters, asked: HashSet<String>) -> Self {
        Self {
            ids: letters.processed_ids(),
            asked,
            processed: HashSet::new(),
            read: 0,
        }
    }

    /// Reads what was added since, or the first time everything; `progress` hears how many entries
    /// have been read.
    ///
    /// # Cancel safety
    /// Safe: it goes on where it was.
    pub(super) async fn catch_up(&mut self, mut progress: impl FnMut(u64)) -> Result<()> {
        if self.asked.is_empty() {
            return Ok(());
        }
        loop {
            let page = self.ids.next().await?;
            if page.is_empty() {
                return Ok(());
            }
            self.read += u64::try_from(page.len()).unwrap_or(0);
            progress(self.read);
            let asked = |id: &String| self.asked.contains(id);
            self.processed.extend(page.into_iter().filter(asked));
        }
    }

    /// Whether a message is known to have been processed.
    pub(super) fn contains(&self, id: &str) -> bool {
        self.processed.contains(id)
    }
}
