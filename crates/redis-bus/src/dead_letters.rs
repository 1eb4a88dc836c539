//! The stream `messages:failed`: what the group gave up on.

mod letter;
mod mover;
mod newest;
mod pages;
mod processed;
mod replayer;
mod selection;
mod stored;

use std::time::Duration;

use protocol::DeadLetter;
use redis::Cmd;

pub use self::{
    letter::StoredLetter,
    newest::Latest,
    processed::ProcessedIds,
    replayer::{Fate, Manner, Replayer, Skipped, Step},
    selection::{Choice, Page, Selection, Walk},
    stored::{DeadLetters, FitLetter, Letters, Replayed, Way},
};
use crate::{
    BusError, Connection,
    chunks::{chunks, each},
    probe::Need,
    queue::{DurableQueue, EntryId, STREAM_GROUP},
    script::Script,
    windows::Windows,
};

/// The byte that the identity of what is no message starts with; no id does, for it is no UTF-8.
const UNFIT: u8 = 0xFE;

/// A letter to write.
#[derive(Debug, Clone, Copy)]
pub struct Burial<'a> {
    /// What to write.
    pub letter: &'a DeadLetter,
    /// Where its message stands in the durable queue, which it leaves in the same step.
    pub queued: Option<&'a EntryId>,
}

impl Burial<'_> {
    fn bytes(&self) -> usize {
        self.letter.kept_bytes()
    }
}

/// What became of a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Buried {
    /// It is in the stream.
    Written,
    /// It is not: its message was processed after all.
    Processed,
    /// It is not: the stream has, or had, one for the same message.
    Duplicate,
    /// It is not: its message is no longer in the durable queue. Somebody else settled it.
    Gone,
}

impl From<String> for Buried {
    fn from(answer: String) -> Self {
        match answer.as_str() {
            "buried" => Self::Written,
            "processed" => Self::Processed,
            "duplicate" => Self::Duplicate,
            _ => Self::Gone,
        }
    }
}

/// A handle on the stream; clones share the connection.
#[derive(Debug, Clone)]
pub struct FailedStream {
    connection: Connection,
    key: String,
    settled: Windows,
    queue: Option<DurableQueue>,
    bury: Script,
}

impl FailedStream {
    /// The stream under `key`, for messages that would have been processed to `processed_stream`, and
    /// whose ids are remembered for `dedup_window`; zero: not at all.
    #[must_use]
    pub fn new(
        connection: Connection,
        key: String,
        processed_stream: &str,
        dedup_window: Duration,
    ) -> Self {
        Self {
            connection,
            key,
            settled: Windows::settled(processed_stream, dedup_window),
            queue: None,
            bury: Script::new(concat!(
                "#!lua\n",
                include_str!("windows.lua"),
                include_str!("queue/queue.lua"),
                include_str!("dead_letters/bury.lua")
            )),
        }
    }

    /// The same stream, for messages that come from this queue and leave it with their letter.
    #[must_use]
    pub fn from_queue(self, queue: DurableQueue) -> Self {
        Self {
            queue: Some(queue),
            ..self
        }
    }

    /// The keys that letters are written to.
    #[must_use]
    pub fn needs(&self) -> Vec<Need> {
        let mut needs = vec![Need::stream(&self.key)];
        needs.extend(self.settled.needs());
        needs
    }

    /// Writes letters, each atomically with all that goes with it; answers for each what became of it.
    /// After an error it can be repeated: a message's letter is written once within the window.
    pub async fn bury(&self, letters: &[Burial<'_>]) -> Vec<Result<Buried, BusError>> {
        let mut results = Vec::with_capacity(letters.len());
        // Those that never were in the durable queue are told apart by what came to it.
        for alike in letters.chunk_by(|a, b| a.queued.is_some() == b.queued.is_some()) {
            let windows = match (&self.queue, alike[0].queued) {
                (Some(queue), None) => queue.queued(),
                _ => &self.settled,
            };
            for chunk in chunks(alike, Burial::bytes) {
                let call = |command: &mut Cmd| self.bury_call(command, windows, chunk);
                let answers = self.connection.script(&self.bury, call).await;
                results.extend(each::<String, _>(answers, chunk.len(), Buried::from));
            }
        }
        results
    }

    /// Appends the keys and arguments of `bury.lua`.
    fn bury_call(&self, command: &mut Cmd, windows: &Windows, letters: &[Burial<'_>]) {
        let queue = self.queue.as_ref();
        command
            .arg(if queue.is_some() { 6 } else { 4 })
            .arg(&self.key);
        windows.add_keys(command);
        if let Some(queue) = queue {
            queue.add_keys(command);
        }
        command
            .arg(windows.seconds())
            .arg(STREAM_GROUP)
            .arg(letters.len());
        for Burial { letter, queued } in letters {
            let fields = letter.fields();
            command
                .arg(self.identity(letter))
                .arg(queued.map_or("", EntryId::as_str))
                .arg(2 * fields.len());
            for (name, value) in fields {
                command.arg(name).arg(&value[..]);
            }
        }
    }

    /// What a letter is told apart by. What is no message has an identity only where every replica of
    /// the group hears it.
    fn identity(&self, letter: &DeadLetter) -> Vec<u8> {
        match (letter.message_id(), &self.queue) {
            (Some(id), _) => id.as_str().as_bytes().to_vec(),
            (None, Some(_)) => [&[UNFIT], &letter.unfit_identity()[..]].concat(),
            (None, None) => Vec::new(),
        }
    }
}
