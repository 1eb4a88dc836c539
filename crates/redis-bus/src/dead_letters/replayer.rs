//! Replaying dead letters without making a second entry of what was processed.
//!
//! No message that has an entry in the stream of processed messages is sent. That is read before
//! anything is sent, and what was added to it meanwhile before each batch. The queue remembers which ids were
//! admitted: one that was admitted after its letter was written is left out.

use std::collections::HashSet;

use super::{
    DeadLetters, ProcessedIds, StoredLetter,
    mover::{Movable, Mover},
};
use crate::{BusError, chunk_queue::QueueError};

/// Whether a replay is carried out, or only reports what it would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplayMode {
    /// It is done.
    Real,
    /// Nothing is done; what would be is reported.
    DryRun,
}

/// Why a letter stays that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skipped {
    /// It holds no message, or not all of one.
    Malformed,
    /// Its message has been processed.
    Processed,
    /// There is another letter for the same message, which was sent.
    Repeated,
}

/// The outcome of a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replayed {
    /// The message is in the queue and the letter is removed.
    Sent,
    /// There is no such letter any more.
    Gone,
    /// A message of the same id was admitted since the letter was written; the letter stays.
    Admitted,
}

/// The outcome of a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LetterOutcome {
    /// What Redis answered.
    Answered(Replayed),
    /// Redis was not asked.
    Skipped(Skipped),
}

/// What a batch came to.
#[derive(Debug)]
pub struct Step {
    /// The letters that something is known of.
    pub outcomes: Vec<(StoredLetter, LetterOutcome)>,
    /// Why of the others nothing is: what may have been done can be done again.
    pub failure: Option<QueueError>,
}

/// Sends the messages of letters on their way again.
#[derive(Debug)]
pub struct Replayer {
    mover: Mover,
    mode: ReplayMode,
    processed: Processed,
    /// The ids of the messages that were sent.
    sent: HashSet<String>,
}

impl Replayer {
    /// One for the letters of the messages with these ids; see [`super::Selection::message_ids`].
    #[must_use]
    pub fn new(letters: &DeadLetters, mode: ReplayMode, ids: HashSet<String>) -> Self {
        Self {
            mover: Mover::new(letters.queue(), &ids),
            processed: Processed::new(letters, ids),
            mode,
            sent: HashSet::new(),
        }
    }

    /// Reads which messages were processed; `progress` hears how many entries have been read.
    ///
    /// # Errors
    /// [`QueueError`] when Redis cannot be reached or refuses.
    ///
    /// # Cancel safety
    /// Safe: it goes on where it was.
    pub async fn catch_up(&mut self, progress: impl FnMut(u64)) -> Result<(), QueueError> {
        self.processed.catch_up(progress).await?;
        self.mover.catch_up().await
    }

    /// Sends the messages of some letters, in one step.
    ///
    /// # Errors
    /// [`QueueError`] when it cannot be read which messages were processed; nothing was sent then.
    pub async fn step(&mut self, letters: Vec<StoredLetter>) -> Result<Step, QueueError> {
        self.catch_up(|_| {}).await?;
        let mut outcomes = Vec::with_capacity(letters.len());
        let (mut batch, mut fit, mut ids) = (Vec::new(), Vec::new(), HashSet::new());
        for letter in letters {
            let Some(message) = letter.message() else {
                outcomes.push((letter, LetterOutcome::Skipped(Skipped::Malformed)));
                continue;
            };
            let id = message.id().as_str();
            if self.processed.contains(id) {
                outcomes.push((letter, LetterOutcome::Skipped(Skipped::Processed)));
            } else if self.sent.contains(id) || !ids.insert(id.to_owned()) {
                outcomes.push((letter, LetterOutcome::Skipped(Skipped::Repeated)));
            } else {
                let entry = letter.entry.clone();
                fit.push(Movable { entry, message });
                batch.push(letter);
            }
        }
        let results = self.mover.replay(&fit, self.mode).await;
        let mut failure = None;
        for ((letter, fit), result) in batch.into_iter().zip(fit).zip(results) {
            match result {
                Ok(replayed) => {
                    if replayed == Replayed::Sent {
                        self.sent.insert(fit.message.id().to_string());
                    }
                    outcomes.push((letter, LetterOutcome::Answered(replayed)));
                }
                Err(cause) => failure = Some(cause),
            }
        }
        Ok(Step { outcomes, failure })
    }
}

/// Which of some messages have been processed after all.
///
/// The whole stream of processed messages is read, not only what is younger than the letters: a
/// message can have been processed before its letter was written, when the answer was lost and its id
/// is forgotten by now. What is added while messages are replayed is read as it comes.
#[derive(Debug)]
struct Processed {
    ids: ProcessedIds,
    /// The messages that are asked about.
    asked: HashSet<String>,
    processed: HashSet<String>,
    read: u64,
}

impl Processed {
    fn new(letters: &DeadLetters, asked: HashSet<String>) -> Self {
        Self {
            ids: letters.processed_ids(),
            asked,
            processed: HashSet::new(),
            read: 0,
        }
    }

    async fn catch_up(&mut self, mut progress: impl FnMut(u64)) -> Result<(), BusError> {
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

    fn contains(&self, id: &str) -> bool {
        self.processed.contains(id)
    }
}
