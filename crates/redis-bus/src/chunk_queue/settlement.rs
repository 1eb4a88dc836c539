//! Settlement: an outcome is recorded in the same step that marks its position, so there is one for each.

use protocol::{DeadLetter, Fields, Position, QueueIdentity};
use redis::{Cmd, Value};

use super::{ChunkQueue, QueueError, parts::Parts};
use crate::chunks::chunks;

/// What a field costs beside its text, in bytes: it is two arguments for Redis and for Lua.
const FIELD_BYTES: usize = 64;

/// What settling a position came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// It is settled now, with this outcome.
    Settled,
    /// It was settled before, with whatever outcome; nothing was written.
    Before,
    /// This queue has no such chunk and never had, or has lost it: nothing was written. Whoever holds the message
    /// may offer it again.
    Unknown,
}

/// What a message came to whose outcome is recorded elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// A consumer has processed it.
    Processed,
    /// A consumer says that it was processed before.
    Duplicate,
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Processed => "processed",
            Self::Duplicate => "duplicate",
        }
    }
}

/// For each of some messages, in order, what settling it came to, or why that is not known.
pub type Settlements = Vec<Result<Settlement, QueueError>>;

impl ChunkQueue {
    /// Records processed messages: adds an entry to the stream for each position that is not settled yet. The first
    /// field of each entry is `message_id`; `max_len` is about how many entries the stream keeps (0: all).
    ///
    /// It can be repeated: what is settled stays as it is. After an error some may be settled.
    pub async fn commit(
        &self,
        identity: &QueueIdentity,
        max_len: u64,
        entries: &[(Position, &Fields)],
    ) -> Settlements {
        let bytes = |(_, fields): &(Position, &Fields)| fields.bytes() + fields.len() * FIELD_BYTES;
        let mut settlements = Vec::with_capacity(entries.len());
        for entries in chunks(entries, bytes) {
            let parts = Parts::of(entries.iter().map(|(position, _)| *position));
            let committed = self.commit_in_transaction(identity, max_len, entries, &parts);
            if let Some(committed) = committed.await {
                settlements.extend(committed);
                continue;
            }
            let answer = self.commit_parts(identity, max_len, entries, &parts).await;
            settlements.extend(self.settlements(answer, &parts));
        }
        settlements
    }

    async fn commit_parts(
        &self,
        identity: &QueueIdentity,
        max_len: u64,
        entries: &[(Position, &Fields)],
        parts: &Parts,
    ) -> Result<Value, QueueError> {
        let all = || parts.iter().flat_map(|part| part.places.iter());
        let fields = |place: &usize| entries[*place].1;
        let shared = shared_arguments(all().map(fields));
        let own_counts = own_counts(all().map(fields), shared);
        let (script, stream) = (&self.0.scripts.commit, &*self.0.processed_key);
        self.run(script, Some(stream), |command: &mut Cmd| {
            command.arg(identity.as_str()).arg(max_len);
            command.arg(&own_counts[..]).arg(shared);
            for text in all()
                .take(1)
                .flat_map(|place| fields(place).texts().skip(2).take(shared))
            {
                command.arg(text);
            }
            for part in parts.iter() {
                part.add_to(command);
                for fields in part.places.iter().map(fields) {
                    command.arg(fields.texts().nth(1).unwrap_or_default());
                    for text in fields.texts().skip(2 + shared) {
                        command.arg(text);
                    }
                }
            }
        })
        .await
    }

    /// Counts messages whose outcome is recorded elsewhere. It can be repeated.
    pub async fn settle(
        &self,
        identity: &QueueIdentity,
        outcome: Outcome,
        positions: &[Position],
    ) -> Settlements {
        let parts = Parts::of(positions.iter().copied());
        let answer = self.run(&self.0.scripts.settle, None, |command| {
            command.arg(identity.as_str()).arg(outcome.as_str());
            parts.iter().for_each(|part| part.add_to(command));
        });
        self.settlements(answer.await, &parts)
    }

    /// Writes dead letters, one for each position that is not settled yet. It can be repeated.
    pub async fn give_up(
        &self,
        identity: &QueueIdentity,
        letters: &[(Position, &DeadLetter)],
    ) -> Settlements {
        let mut settlements = Vec::with_capacity(letters.len());
        for letters in chunks(letters, |(_, letter)| letter.kept_bytes()) {
            let parts = Parts::of_one_each(letters.iter().map(|(position, _)| *position));
            let stream = &*self.0.failed_key;
            let answer = self.run(&self.0.scripts.give_up, Some(stream), |command| {
                command.arg(identity.as_str());
                for (part, (_, letter)) in parts.iter().zip(letters) {
                    part.add_to(command);
                    let fields = letter.fields();
                    command.arg(2 * fields.len());
                    for (name, value) in fields {
                        command.arg(name).arg(&value[..]);
                    }
                }
            });
            settlements.extend(self.settlements(answer.await, &parts));
        }
        settlements
    }

    /// The answers of a script to each part, as one for each message.
    fn settlements(&self, answer: Result<Value, QueueError>, parts: &Parts) -> Settlements {
        let answers = answer.and_then(|answer| {
            let answers: Vec<Value> = self.read(answer)?;
            let settlements = answers.into_iter().map(|answer| self.answer(answer));
            settlements.collect::<Result<Vec<_>, _>>()
        });
        match answers {
            Ok(answers) if answers.len() == parts.len() => parts.settlements(&answers),
            Ok(answers) => {
                let (answers, parts_asked) = (answers.len(), parts.len());
                let cause = self.unknown(&format!("{answers} answers to {parts_asked} parts"));
                vec![Err(cause); parts.messages()]
            }
            Err(cause) => vec![Err(cause); parts.messages()],
        }
    }

    fn answer(&self, answer: Value) -> Result<PartAnswer, QueueError> {
        let word = match answer {
            Value::Array(places) => {
                return Ok(PartAnswer::Before(self.read(Value::Array(places))?));
            }
            other => self.read::<String>(other)?,
        };
        match &*word {
            "settled" => Ok(PartAnswer::AllBefore),
            "unknown" => Ok(PartAnswer::Unknown),
            other => Err(self.unknown(other)),
        }
    }
}

/// What a script answers to one part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PartAnswer {
    /// All of it is settled now; the messages at these places (from 1, in the order of their indices) were before.
    Before(Vec<usize>),
    /// All of it was settled before.
    AllBefore,
    /// There is no such chunk.
    Unknown,
}

/// How many more arguments each entry has, as `commit.lua` takes it.
fn own_counts<'a>(entries: impl Iterator<Item = &'a Fields>, shared: usize) -> Vec<u8> {
    let mut counts: Vec<_> = entries
        .map(|fields| (2 * fields.len()).saturating_sub(2 + shared))
        .map(|count| u16::try_from(count).unwrap_or(u16::MAX))
        .collect();
    if let Some(first) = counts.first().copied()
        && counts.iter().all(|count| *count == first)
    {
        counts.truncate(1);
    }
    counts.into_iter().flat_map(u16::to_be_bytes).collect()
}

/// How many arguments after the id all entries begin with alike: that of the consumer at least.
fn shared_arguments<'a>(mut entries: impl Iterator<Item = &'a Fields>) -> usize {
    let Some(first) = entries.next() else {
        return 0;
    };
    let all = (2 * first.len()).saturating_sub(2);
    entries.fold(all, |shared, other| {
        let both = first.texts().skip(2).zip(other.texts().skip(2));
        both.take(shared)
            .take_while(|(one, other)| one == other)
            .count()
    })
}
