//! The stream `messages:processed`: one entry for each processed message.

use std::time::Duration;

use protocol::Fields;
use redis::{Cmd, Pipeline, cmd};

use crate::{
    Added, BusError, Connection, added::added_but, chunks::chunks, probe::Need, script::Script,
    windows::Windows,
};

/// The most fields an entry may have: a script can pass no more on (Lua's stack, 8,000 values).
pub const MAX_FIELDS: usize = 3_900;

/// What a field costs beside its text, in bytes: it is two arguments for Redis and for Lua.
const FIELD_BYTES: usize = 64;

/// One entry to commit.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Names and values, in order; at most [`MAX_FIELDS`]. The first is `message_id`, by whose value a
    /// second entry is refused.
    pub fields: Fields,
}

impl Entry {
    /// The fingerprint of its id.
    fn id(&self) -> &str {
        self.fields.texts().nth(1).unwrap_or_default()
    }

    /// The names and values after the id.
    fn arguments(&self) -> impl Iterator<Item = &str> {
        self.fields.texts().skip(2)
    }

    /// How much it takes on its way, in bytes.
    fn bytes(&self) -> usize {
        self.fields.bytes() + self.fields.len() * FIELD_BYTES
    }

    /// Appends names and values to a command.
    fn add_fields(&self, command: &mut Cmd) {
        for text in self.fields.texts() {
            command.arg(text);
        }
    }
}

/// How entries are kept.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// How long an id is remembered at least; zero: not at all.
    pub dedup_window: Duration,
    /// About how many entries the stream keeps; zero: all.
    pub max_len: u64,
}

/// A handle on the stream; clones share the connection.
#[derive(Debug, Clone)]
pub struct ProcessedStream {
    connection: Connection,
    key: String,
    settled: Windows,
    max_len: u64,
    script: Script,
}

impl ProcessedStream {
    /// The stream under `key`.
    #[must_use]
    pub fn new(connection: Connection, key: String, retention: Retention) -> Self {
        let settled = Windows::settled(&key, retention.dedup_window);
        let script = Script::new(concat!(
            "#!lua\n",
            include_str!("windows.lua"),
            include_str!("commit.lua")
        ));
        Self {
            connection,
            key,
            settled,
            max_len: retention.max_len,
            script,
        }
    }

    /// The keys that commits write to.
    #[must_use]
    pub fn needs(&self) -> Vec<Need> {
        let mut needs = vec![Need::stream(&self.key)];
        needs.extend(self.settled.needs());
        needs
    }

    /// Commits entries; answers for each what became of it, or why it was not committed.
    ///
    /// With de-duplication that is one atomic step for each batch. Committing an entry again is then of
    /// no effect, so after an error, when any of them may have been added, it can be repeated.
    pub async fn commit(&self, entries: &[Entry]) -> Vec<Result<Added, BusError>> {
        let mut results = Vec::with_capacity(entries.len());
        for chunk in chunks(entries, Entry::bytes) {
            if self.settled.is_on() {
                let call = |command: &mut Cmd| self.script_call(command, chunk);
                let duplicates: Result<Vec<usize>, _> =
                    self.connection.script(&self.script, call).await;
                results.extend(added_but(duplicates, chunk.len()));
            } else {
                results.extend(self.append(chunk).await);
            }
        }
        results
    }

    /// Adds entries without a look at their ids.
    async fn append(&self, entries: &[Entry]) -> Vec<Result<Added, BusError>> {
        let mut pipeline = Pipeline::with_capacity(entries.len());
        for entry in entries {
            let mut command = cmd("XADD");
            command.arg(&self.key);
            if self.max_len > 0 {
                command.arg("MAXLEN").arg("~").arg(self.max_len);
            }
            entry.add_fields(command.arg("*"));
            pipeline.add_command(command);
        }
        match self
            .connection
            .pipeline::<()>(pipeline.ignore_errors())
            .await
        {
            Ok(added) => added
                .into_iter()
                .map(|added| added.map(|()| Added::Created))
                .collect(),
            Err(cause) => vec![Err(cause); entries.len()],
        }
    }

    /// Appends the keys and arguments of `commit.lua`.
    fn script_call(&self, command: &mut Cmd, entries: &[Entry]) {
        command.arg(4).arg(&self.key);
        self.settled.add_keys(command);
        command.arg(self.settled.seconds()).arg(self.max_len);
        let shared = shared(entries);
        let own_counts = entries.iter().flat_map(|entry| {
            let count = entry.arguments().count() - shared;
            u16::try_from(count).unwrap_or(u16::MAX).to_be_bytes()
        });
        command.arg(own_counts.collect::<Vec<u8>>()).arg(shared);
        for argument in entries
            .iter()
            .take(1)
            .flat_map(Entry::arguments)
            .take(shared)
        {
            command.arg(argument);
        }
        for entry in entries {
            command.arg(entry.id());
        }
        for argument in entries
            .iter()
            .flat_map(|entry| entry.arguments().skip(shared))
        {
            command.arg(argument);
        }
    }
}

/// How many arguments after the id are the same for all entries: that of the consumer at least.
fn shared(entries: &[Entry]) -> usize {
    let Some((first, others)) = entries.split_first() else {
        return 0;
    };
    let all = first.arguments().count();
    others.iter().fold(all, |shared, other| {
        let both = first.arguments().zip(other.arguments());
        both.take(shared).take_while(|(a, b)| a == b).count()
    })
}
