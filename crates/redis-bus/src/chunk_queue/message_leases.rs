//! Leases of single messages, which workers have that fetch them over HTTP.
//!
//! Each is a key of its own that Redis deletes when the lease ends, so that it outlives the replica that gave it: whoever
//! is handed the chunk next finds the key, and leaves the message to its worker until then. What a message comes to
//! is decided where everything is, by its position; the key only says whose turn it is.

use std::time::Duration;

use protocol::{MessageId, Position};
use redis::{Cmd, Pipeline, Value, cmd};

use super::{ChunkQueue, QueueError};

/// For how long a key stays after its lease has ended by the clock of the replica that gave it, so that it does not
/// end first.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// How long it can be read that a message was settled through another replica.
const SETTLED_NOTE: Duration = Duration::from_secs(60);

/// A lease as it stands in Redis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseRecord {
    /// What tells it from any other of the same message.
    pub fence: u64,
    /// Who has it; a text without blanks.
    pub worker: String,
    /// Of which message.
    pub message_id: String,
}

/// What is known of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaseNote {
    /// It is leased.
    Leased(LeaseRecord),
    /// It was settled through a replica that did not have it in hand.
    Settled,
    /// Such a replica was told this, which is not a success; whoever has the message in hand is to act on it.
    CameTo(String),
}

impl LeaseNote {
    fn to_text(&self) -> String {
        match self {
            Self::Leased(LeaseRecord {
                fence,
                worker,
                message_id,
            }) => format!("{fence:016x} {worker} {message_id}"),
            Self::Settled => "settled".to_owned(),
            Self::CameTo(outcome) => format!("= {outcome}"),
        }
    }

    fn of(text: &str) -> Option<Self> {
        if text == "settled" {
            return Some(Self::Settled);
        }
        if let Some(outcome) = text.strip_prefix("= ") {
            return Some(Self::CameTo(outcome.to_owned()));
        }
        let mut words = text.splitn(3, ' ');
        let fence = u64::from_str_radix(words.next()?, 16).ok()?;
        let (worker, message_id) = (words.next()?.to_owned(), words.next()?.to_owned());
        Some(Self::Leased(LeaseRecord {
            fence,
            worker,
            message_id,
        }))
    }
}

impl LeaseRecord {
    /// A new one.
    #[must_use]
    pub fn new(fence: u64, worker: &str, message_id: &MessageId) -> Self {
        Self {
            fence,
            worker: worker.to_owned(),
            message_id: message_id.as_str().to_owned(),
        }
    }
}

impl ChunkQueue {
    /// Writes leases that last so long; those that were there are replaced.
    ///
    /// # Errors
    /// When Redis cannot be reached or refuses; some may be written.
    pub async fn lease(
        &self,
        leases: &[(Position, LeaseRecord)],
        lasts: Duration,
    ) -> Result<(), QueueError> {
        let notes = leases
            .iter()
            .map(|(at, record)| (*at, LeaseNote::Leased(record.clone())));
        self.write_notes(notes, lasts + GRACE).await
    }

    /// Notes what was said of messages to a replica that does not have them in hand.
    ///
    /// # Errors
    /// As [`Self::lease`].
    pub async fn note_for_holders(
        &self,
        notes: Vec<(Position, LeaseNote)>,
    ) -> Result<(), QueueError> {
        self.write_notes(notes.into_iter(), SETTLED_NOTE).await
    }

    async fn write_notes(
        &self,
        notes: impl Iterator<Item = (Position, LeaseNote)>,
        lasts: Duration,
    ) -> Result<(), QueueError> {
        let lasts = u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX);
        let commands = notes.map(|(at, note)| {
            let mut set = cmd("SET");
            set.arg(self.lease_key(at)).arg(note.to_text());
            set.arg("PX").arg(lasts);
            set
        });
        self.each::<Value>(commands).await.map(drop)
    }

    /// What is known of messages.
    ///
    /// # Errors
    /// When Redis cannot be reached or refuses.
    pub async fn lease_notes(
        &self,
        positions: &[Position],
    ) -> Result<Vec<Option<LeaseNote>>, QueueError> {
        if positions.is_empty() {
            return Ok(Vec::new());
        }
        let mut get = cmd("MGET");
        for at in positions {
            get.arg(self.lease_key(*at));
        }
        let mut notes = self.each::<Vec<Option<String>>>([get].into_iter()).await?;
        let notes = notes.pop().unwrap_or_default().into_iter();
        let note = |text: Option<String>| LeaseNote::of(&text?);
        Ok(notes.map(note).collect())
    }

    /// How long the leases of messages still last; zero for those that have ended.
    ///
    /// # Errors
    /// When Redis cannot be reached or refuses.
    pub async fn leases_last(&self, positions: &[Position]) -> Result<Vec<Duration>, QueueError> {
        let commands = positions.iter().map(|at| {
            let mut ask = cmd("PTTL");
            ask.arg(self.lease_key(*at));
            ask
        });
        let lasts = self.each::<i64>(commands).await?.into_iter();
        let lasts = lasts.map(|millis| Duration::from_millis(millis.try_into().unwrap_or(0)));
        Ok(lasts.map(|lasts| lasts.saturating_sub(GRACE)).collect())
    }

    /// Deletes what is known of messages.
    ///
    /// # Errors
    /// When Redis cannot be reached or refuses; it ends by itself then.
    pub async fn end_leases(&self, positions: &[Position]) -> Result<(), QueueError> {
        if positions.is_empty() {
            return Ok(());
        }
        let mut delete = cmd("DEL");
        for at in positions {
            delete.arg(self.lease_key(*at));
        }
        self.each::<Value>([delete].into_iter()).await.map(drop)
    }

    fn lease_key(&self, at: Position) -> String {
        let prefix = &self.0.keys.lease;
        format!("{prefix}:{}/{}", at.chunk(), at.index())
    }

    /// The answers to commands that are sent together.
    async fn each<T: redis::FromRedisValue>(
        &self,
        commands: impl Iterator<Item = Cmd>,
    ) -> Result<Vec<T>, QueueError> {
        let mut pipeline = Pipeline::new();
        // One that fails concerns no other, but is told.
        pipeline.ignore_errors();
        let mut are_any = false;
        for command in commands {
            are_any = true;
            pipeline.add_command(command);
        }
        if !are_any {
            return Ok(Vec::new());
        }
        let answers = self.0.connection.pipeline::<T>(&pipeline).await?;
        let answers: Result<Vec<T>, _> = answers.into_iter().collect();
        Ok(answers?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_of_a_message_goes_to_text_and_back() {
        let record = LeaseRecord {
            fence: 7,
            worker: "laptop-7".to_owned(),
            message_id: "an id with blanks".to_owned(),
        };
        for note in [
            LeaseNote::Leased(record),
            LeaseNote::Settled,
            LeaseNote::CameTo(r#"{"status":500}"#.to_owned()),
        ] {
            assert_eq!(LeaseNote::of(&note.to_text()), Some(note));
        }
        for unknown in ["", "x", "zz a b", "0000000000000007 a"] {
            assert_eq!(LeaseNote::of(unknown), None);
        }
    }
}
