//! Replay: dead letters are moved back into the queue, each in the step that deletes its letter.

use protocol::{QueueIdentity, StreamId};
use rand::RngExt;
use redis::{Cmd, Value, cmd};

use super::{ChunkQueue, QueueError, admission::RANDOM};
use crate::Fingerprint;

/// What a replay came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replay {
    /// The outcome of each letter.
    Done(Vec<ReplayedLetter>),
    /// Nothing was done: the id log has more than was read. Read on, and call again.
    Missed,
}

/// The outcome of a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplayedLetter {
    /// Its message is in the queue, and the letter is gone.
    Moved,
    /// There is no such letter any more.
    Gone,
    /// A message of the same id was admitted meanwhile, which has an outcome of its own; the letter stays.
    Admitted,
}

impl ChunkQueue {
    /// The queue's identity; `None` while there is no queue.
    ///
    /// # Errors
    /// [`QueueError`] when Redis cannot be reached or refuses.
    pub async fn identity(&self) -> Result<Option<QueueIdentity>, QueueError> {
        let mut command = cmd("HGET");
        command.arg(&self.0.keys.account).arg("identity");
        let identity: Option<String> = self.0.connection.query(&command).await?;
        identity.map(|identity| self.parse(&identity)).transpose()
    }

    /// The key of the stream of dead letters.
    #[must_use]
    pub fn failed_key(&self) -> &str {
        &self.0.failed_key
    }

    /// Moves letters back into the queue, all as one chunk: as many as [`super::fitting`] says of their
    /// messages at the most. Each comes with the fingerprint of its message's id.
    ///
    /// The caller has read the id log up to `read_to`, and has left out what was admitted after its letter was
    /// written: that has another outcome.
    ///
    /// In the account a letter that is moved is no longer dead-lettered, but queued. That a letter is
    /// deleted by hand changes nothing: it stays what its message came to.
    ///
    /// # Errors
    /// [`QueueError`]; the letters may have been moved only if Redis cannot be reached. It can be repeated:
    /// they are gone then.
    pub async fn replay(
        &self,
        identity: &QueueIdentity,
        read_to: StreamId,
        letters: &[(StreamId, Fingerprint)],
    ) -> Result<Replay, QueueError> {
        self.run_replay("replay", identity, read_to, letters).await
    }

    /// Answers what [`ChunkQueue::replay`] would, and changes nothing.
    ///
    /// # Errors
    /// [`QueueError`] when Redis cannot be reached or refuses.
    pub async fn rehearse_replay(
        &self,
        identity: &QueueIdentity,
        read_to: StreamId,
        letters: &[(StreamId, Fingerprint)],
    ) -> Result<Replay, QueueError> {
        self.run_replay("rehearse", identity, read_to, letters)
            .await
    }

    async fn run_replay(
        &self,
        verb: &str,
        identity: &QueueIdentity,
        read_to: StreamId,
        letters: &[(StreamId, Fingerprint)],
    ) -> Result<Replay, QueueError> {
        let random = rand::rng().random_range(0..RANDOM);
        let call = self.call(Some(&self.0.failed_key), |command: &mut Cmd| {
            command.arg(identity.as_str()).arg(verb);
            command.arg(read_to.to_string()).arg(random);
            for (entry, fingerprint) in letters {
                command.arg(entry.to_string()).arg(fingerprint.as_bytes());
            }
        });
        let script = &self.0.scripts.replay;
        let answer = self.0.connection.script_once(script, call).await?;
        let answers: Vec<String> = match self.answered(answer)? {
            Value::SimpleString(word) if word == "missed" => return Ok(Replay::Missed),
            answers => self.read(answers)?,
        };
        if answers.len() != letters.len() {
            let (answers, letters) = (answers.len(), letters.len());
            return Err(self.unknown(&format!("{answers} answers to {letters} letters")));
        }
        let answers = answers.iter().map(|word| self.replayed(word));
        Ok(Replay::Done(answers.collect::<Result<_, _>>()?))
    }

    fn replayed(&self, word: &str) -> Result<ReplayedLetter, QueueError> {
        match word {
            "moved" => Ok(ReplayedLetter::Moved),
            "gone" => Ok(ReplayedLetter::Gone),
            "admitted" => Ok(ReplayedLetter::Admitted),
            other => Err(self.unknown(other)),
        }
    }
}
