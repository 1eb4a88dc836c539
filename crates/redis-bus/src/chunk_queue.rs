//! The queue: a stream of chunks, settled by position.
//!
//! A message is admitted once, as one of a chunk ([`Offer`]), and from then on it is known by its position:
//! its chunk, and its index there. It stays in the queue until its outcome is recorded, in the
//! same atomic step, so that it has one outcome whoever comes twice. The queue is read through one of
//! Redis's own consumer groups (the `StreamGroup`), by any number of readers: the replicas of the group,
//! and consumers that pull.
//!
//! | script | does |
//! |---|---|
//! | `open.lua` | makes what is missing |
//! | `append.lua` | admits messages as a chunk, if the caller knows all that was admitted before |
//! | `taken.lua` | takes note of chunks that were read |
//! | `open_gate.lua` | settles many positions, if all are new; the entries follow in the same transaction |
//! | `commit.lua`, `settle.lua`, `give_up.lua` | record outcomes, each with what `settlement.lua` does |
//! | `split.lua` | puts a part of a chunk back as chunks of their own |
//! | `replay.lua` | moves dead letters back into the queue |
//! | `account.lua`, `oldest.lua`, `readers.lua` | tell the account, how old the queue is, and who reads it |

mod account;
mod admission;
mod chunk;
mod indices;
mod leases;
mod message_leases;
mod parts;
mod reader;
mod readmission;
mod replay;
mod settlement;
mod split;
mod status;
mod transaction;

use std::{fmt, str::FromStr, sync::Arc};

use protocol::{QueueIdentity, StreamId, keys::in_slot_of};
use rand::random;
use redis::{Cmd, FromRedisValue, Value};

use self::transaction::Transactions;

pub use self::{
    account::ChunkAccount,
    admission::{Admission, Admitted, LogEntry, LogPage, Offer},
    chunk::{MAX_BYTES, MOST_MESSAGES, fitting},
    indices::Indices,
    leases::{Lease, Leases},
    message_leases::{LeaseNote, LeaseRecord},
    reader::{ChunkReader, ReadChunk},
    replay::{Replay, ReplayedLetter},
    settlement::{Outcome, Settlement, Settlements},
    split::Split,
    status::ReaderStatus,
};
use crate::{BusError, Connection, script::Script};

/// The name of the `StreamGroup`. Scripts know it, too: `chunks.lua`.
pub const STREAM_GROUP: &str = "consumer-group";

/// What can go wrong between a service and the queue.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum QueueError {
    /// Redis cannot be reached, or refuses.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// At this place is another queue than the caller means, or none: nothing was done.
    #[error(
        "the queue {key} is not the one that is meant; it was made anew, or this is another Redis"
    )]
    Another {
        /// The key of the queue.
        key: String,
    },
    /// The keys are those of an older design.
    #[error(
        "{key} was made by an older version. Let that version empty its queue, or delete {key} and {queue}"
    )]
    Older {
        /// The key of the account.
        key: String,
        /// The key of the queue.
        queue: String,
    },
    /// An answer that no script of ours gives.
    #[error("Redis gave an answer on {key} that no script of ours gives: {answer}")]
    Unknown {
        /// The key of the queue.
        key: String,
        /// What is unknown about it.
        answer: String,
    },
}

/// A handle on the queue; clones share the connection.
#[derive(Debug, Clone)]
pub struct ChunkQueue(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    connection: Connection,
    keys: Keys,
    processed_key: String,
    failed_key: String,
    scripts: Scripts,
    transactions: Transactions,
}

/// The keys of the queue, all in one slot.
#[derive(Debug)]
struct Keys {
    queue: String,
    id_log: String,
    progress: String,
    account: String,
    gate: String,
    /// What the keys of leases begin with.
    lease: String,
}

#[derive(Debug)]
struct Scripts {
    open: Script,
    append: Script,
    taken: Script,
    commit: Script,
    open_gate: Script,
    settle: Script,
    give_up: Script,
    split: Script,
    replay: Script,
    account: Script,
    oldest: Script,
    readers: Script,
    keep: Script,
    forget: Script,
}

/// The source of a script with the functions that it starts with.
macro_rules! script {
    ($flags:literal, $($file:literal),+) => {
        Script::new(concat!($flags, "\n", $(include_str!(concat!("chunk_queue/", $file))),+))
    };
}

impl Scripts {
    fn new() -> Self {
        Self {
            open: script!("#!lua", "chunks.lua", "open.lua"),
            append: script!("#!lua", "chunks.lua", "append.lua"),
            taken: script!("#!lua flags=allow-oom", "chunks.lua", "taken.lua"),
            commit: script!("#!lua", "chunks.lua", "settlement.lua", "commit.lua"),
            open_gate: script!("#!lua", "chunks.lua", "settlement.lua", "open_gate.lua"),
            settle: script!(
                "#!lua flags=allow-oom",
                "chunks.lua",
                "settlement.lua",
                "settle.lua"
            ),
            give_up: script!("#!lua", "chunks.lua", "settlement.lua", "give_up.lua"),
            split: script!("#!lua", "chunks.lua", "settlement.lua", "split.lua"),
            replay: script!("#!lua", "chunks.lua", "replay.lua"),
            account: script!("#!lua flags=no-writes", "chunks.lua", "account.lua"),
            oldest: script!("#!lua flags=no-writes", "chunks.lua", "oldest.lua"),
            readers: script!("#!lua flags=no-writes", "chunks.lua", "readers.lua"),
            keep: script!("#!lua flags=allow-oom", "keep.lua"),
            forget: script!("#!lua flags=allow-oom", "forget.lua"),
        }
    }
}

impl ChunkQueue {
    /// The queue beside a stream of processed messages. Nothing is said to Redis yet.
    #[must_use]
    pub fn new(connection: Connection, processed_stream: &str) -> Self {
        let key = |name| in_slot_of(processed_stream, name);
        Self(Arc::new(Shared {
            connection,
            keys: Keys {
                queue: key("queue"),
                id_log: key("ids"),
                progress: key("progress"),
                account: key("account"),
                gate: key("gate"),
                lease: key("lease"),
            },
            processed_key: processed_stream.to_owned(),
            failed_key: key("failed"),
            scripts: Scripts::new(),
            transactions: Transactions::default(),
        }))
    }

    /// The key of the stream of chunks.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.0.keys.queue
    }

    /// Makes the queue unless it is there; answers which it is, and the last chunk that was ever admitted.
    ///
    /// # Errors
    /// [`QueueError::Older`] for the keys of an older design; [`QueueError::Bus`] when Redis cannot be
    /// reached or refuses: it can be repeated.
    pub async fn open(&self) -> Result<(QueueIdentity, StreamId), QueueError> {
        let new = QueueIdentity::from(random::<u64>());
        let answer = self.run(&self.0.scripts.open, None, |command| {
            command.arg(new.as_str());
        });
        let answer = answer.await?;
        if matches!(&answer, Value::SimpleString(word) if word == "older") {
            return Err(QueueError::Older {
                key: self.0.keys.account.clone(),
                queue: self.0.keys.queue.clone(),
            });
        }
        let (identity, last): (String, String) = self.read(answer)?;
        let identity = self.parse(&identity)?;
        let last = self.parse(&last)?;
        Ok((identity, last))
    }

    /// Runs a script on the keys of the queue and maybe a `further` one; `args` appends the arguments.
    /// Should the connection end meanwhile, it is run once again.
    async fn run(
        &self,
        script: &Script,
        further: Option<&str>,
        args: impl Fn(&mut Cmd),
    ) -> Result<Value, QueueError> {
        let call = self.call(further, args);
        self.answered(self.0.connection.script(script, call).await?)
    }

    /// The same, but once only: for what would be done twice.
    async fn run_once(
        &self,
        script: &Script,
        args: impl Fn(&mut Cmd),
    ) -> Result<Value, QueueError> {
        let call = self.call(None, args);
        self.answered(self.0.connection.script_once(script, call).await?)
    }

    fn call(&self, further: Option<&str>, args: impl Fn(&mut Cmd)) -> impl Fn(&mut Cmd) {
        let keys = &self.0.keys;
        move |command: &mut Cmd| {
            command.arg(4 + further.iter().len());
            command.arg(&keys.queue).arg(&keys.id_log);
            command.arg(&keys.progress).arg(&keys.account);
            command.arg(further);
            args(command);
        }
    }

    fn answered(&self, answer: Value) -> Result<Value, QueueError> {
        if matches!(&answer, Value::SimpleString(word) if word == "another") {
            let key = self.0.keys.queue.clone();
            return Err(QueueError::Another { key });
        }
        Ok(answer)
    }

    /// An answer as what it should be.
    fn read<T: FromRedisValue>(&self, answer: Value) -> Result<T, QueueError> {
        T::from_redis_value(answer).map_err(|cause| self.unknown(&cause.to_string()))
    }

    /// A text as what it should be.
    fn parse<T: FromStr<Err: fmt::Display>>(&self, text: &str) -> Result<T, QueueError> {
        text.parse()
            .map_err(|cause| self.unknown(&format!("{text}: {cause}")))
    }

    fn unknown(&self, answer: &str) -> QueueError {
        QueueError::Unknown {
            key: self.0.keys.queue.clone(),
            answer: answer.to_owned(),
        }
    }
}
