//! Settlement: an outcome is recorded in the same step that marks its position, so there is one for each.

use std::borrow::Cow;

use protocol::{ChunkId, DeadLetter, Fields, QueueIdentity};
use redis::{Cmd, Value};

use super::{ChunkQueue, Indices, QueueError};

/// Some messages of one chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// The chunk.
    pub chunk: ChunkId,
    /// Which of its messages.
    pub indices: Indices,
}

/// What messages came to whose outcome is recorded elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A consumer has processed them.
    Processed,
    /// A consumer says that they were processed before.
    Duplicate,
}

/// What settling a part came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// All of it is settled now; these were so already, and nothing was written for them.
    Settled {
        /// Indices that were settled before.
        before: Indices,
    },
    /// This queue has no such chunk and never had, or has lost it: nothing was written. Whoever holds the
    /// messages may offer them again.
    Unknown,
}

/// The entries of some messages of one chunk.
#[derive(Debug, Clone)]
pub struct ProcessedEntry<'a> {
    /// The messages.
    pub part: Part,
    /// The fields of each, in the order of their indices; the first field is `message_id`.
    pub entries: Vec<&'a Fields>,
}

/// A message that is given up.
#[derive(Debug, Clone, Copy)]
pub struct Letter<'a> {
    /// Its chunk.
    pub chunk: ChunkId,
    /// Its index there.
    pub index: usize,
    /// What is written.
    pub letter: &'a DeadLetter,
}

impl ChunkQueue {
    /// Records processed messages: adds an entry for each position that is not settled yet.
    ///
    /// The fields after the id that all entries have alike go to Redis once: those of the first entry as
    /// far as all others begin with the same, `shared` of them (names and values each count as one).
    ///
    /// Returns what each part came to. It can be repeated: what is settled stays as it is.
    ///
    /// # Errors
    /// [`QueueError`]; some may be settled then.
    pub async fn commit(
        &self,
        identity: &QueueIdentity,
        max_len: u64,
        parts: &[ProcessedEntry<'_>],
    ) -> Result<Vec<Settlement>, QueueError> {
        let entries = || parts.iter().flat_map(|part| &part.entries);
        let shared = shared_arguments(entries().copied());
        let own_counts = own_counts(entries().copied(), shared);
        let answer = self.run(
            &self.0.scripts.commit,
            Some(&self.0.processed_key),
            |command: &mut Cmd| {
                command.arg(identity.as_str()).arg(max_len);
                command.arg(&own_counts[..]).arg(shared);
                for text in entries()
                    .take(1)
                    .flat_map(|fields| fields.texts().skip(2).take(shared))
                {
                    command.arg(text);
                }
                for ProcessedEntry { part, entries } in parts {
                    add_part(command, part);
                    for fields in entries {
                        command.arg(fields.texts().nth(1).unwrap_or_default());
                        for text in fields.texts().skip(2 + shared) {
                            command.arg(text);
                        }
                    }
                }
            },
        );
        let answer = answer.await?;
        self.settlements(answer, parts.iter().map(|part| part.part))
    }

    /// Counts messages whose outcome is recorded elsewhere. Returns what each part came to; it can be
    /// repeated.
    ///
    /// # Errors
    /// [`QueueError`]; some may be settled then.
    pub async fn settle(
        &self,
        identity: &QueueIdentity,
        parts: &[(Part, Outcome)],
    ) -> Result<Vec<Settlement>, QueueError> {
        let answer = self.run(&self.0.scripts.settle, None, |command| {
            command.arg(identity.as_str());
            for (part, outcome) in parts {
                add_part(command, part);
                command.arg(match outcome {
                    Outcome::Processed => "processed",
                    Outcome::Duplicate => "duplicate",
                });
            }
        });
        let answer = answer.await?;
        self.settlements(answer, parts.iter().map(|(part, _)| *part))
    }

    /// Writes dead letters, one for each position that is not settled yet. Returns what each came to; it
    /// can be repeated.
    ///
    /// # Errors
    /// [`QueueError`]; some may be settled then.
    pub async fn give_up(
        &self,
        identity: &QueueIdentity,
        letters: &[Letter<'_>],
    ) -> Result<Vec<Settlement>, QueueError> {
        let answer = self.run(
            &self.0.scripts.give_up,
            Some(&self.0.failed_key),
            |command: &mut Cmd| {
                command.arg(identity.as_str());
                for letter in letters {
                    let fields = letter.letter.fields();
                    command.arg(letter.chunk.to_string());
                    command.arg(letter.part().indices.to_bytes(letter.chunk.messages()));
                    command.arg(2 * fields.len());
                    for (name, value) in fields {
                        command.arg(name).arg(&value[..]);
                    }
                }
            },
        );
        let answer = answer.await?;
        self.settlements(answer, letters.iter().map(Letter::part))
    }

    /// The answers of a script, one for each part.
    fn settlements(
        &self,
        answer: Value,
        parts: impl ExactSizeIterator<Item = Part>,
    ) -> Result<Vec<Settlement>, QueueError> {
        let answers: Vec<Value> = self.read(answer)?;
        if answers.len() != parts.len() {
            let (answers, parts) = (answers.len(), parts.len());
            return Err(self.unknown(&format!("{answers} answers to {parts} parts")));
        }
        let each = answers.into_iter().zip(parts);
        each.map(|(answer, part)| self.settlement(answer, part))
            .collect()
    }

    fn settlement(&self, answer: Value, part: Part) -> Result<Settlement, QueueError> {
        let word = match answer {
            Value::Array(places) => {
                let places: Vec<usize> = self.read(Value::Array(places))?;
                let before = part.at(&places);
                return Ok(Settlement::Settled { before });
            }
            other => self.read::<String>(other)?,
        };
        match &*word {
            "settled" => Ok(Settlement::Settled {
                before: part.indices,
            }),
            "unknown" => Ok(Settlement::Unknown),
            other => Err(self.unknown(other)),
        }
    }
}

impl Part {
    /// The indices at some places (from 1, in order) among those of this part.
    fn at(&self, places: &[usize]) -> Indices {
        if places.is_empty() {
            return Indices::default();
        }
        let indices: Vec<_> = self.indices.iter().collect();
        let at = |place: &usize| indices.get(place.checked_sub(1)?).copied();
        places.iter().filter_map(at).collect()
    }
}

impl Letter<'_> {
    fn part(&self) -> Part {
        Part {
            chunk: self.chunk,
            indices: [self.index].into_iter().collect(),
        }
    }
}

fn add_part(command: &mut Cmd, part: &Part) {
    command.arg(part.chunk.to_string());
    command.arg(part.indices.to_bytes(part.chunk.messages()));
    command.arg(part.indices.len());
}

/// How many more arguments each entry has, as `commit.lua` takes it.
fn own_counts<'a>(entries: impl Iterator<Item = &'a Fields>, shared: usize) -> Vec<u8> {
    let mut counts: Vec<_> = entries
        .map(|fields| (2 * fields.len()).saturating_sub(2 + shared))
        .map(|count| u16::try_from(count).unwrap_or(u16::MAX))
        .collect();
    if !counts.is_empty() && counts.iter().all(|count| *count == counts[0]) {
        counts.truncate(1);
    }
    counts.into_iter().flat_map(u16::to_be_bytes).collect()
}

/// How many arguments after the id all entries begin with alike.
fn shared_arguments<'a>(mut entries: impl Iterator<Item = &'a Fields>) -> usize {
    let Some(first) = entries.next() else {
        return 0;
    };
    let first: Vec<_> = first.texts().skip(2).map(Cow::Borrowed).collect();
    let alike = |fields: &Fields| {
        let pairs = first.iter().zip(fields.texts().skip(2));
        pairs.take_while(|(one, other)| **one == **other).count()
    };
    entries.map(alike).min().unwrap_or(first.len())
}
