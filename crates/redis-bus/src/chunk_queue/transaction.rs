//! Many entries at once, as a transaction.
//!
//! A script that adds entries pays for each of their fields twice: Lua makes a string of it, and Redis makes an
//! argument of that string. Measured with 512 entries of six fields of their own: 8.5 us of Redis's CPU an entry, where the plain
//! commands take 5. But plain commands add entries whether or not their positions are settled already.
//!
//! So they add them to a key that is not there, the **gate**, with `NOMKSTREAM`, which then adds nothing. What opens the gate is
//! the script before them in the same transaction: if all positions are new it settles them, and renames the stream
//! to the gate; behind the entries the gate is renamed back. Nobody else sees any of that. If the script does not run, for
//! whatever reason, the gate stays shut, and the entries are committed by `commit.lua`, which looks at each
//! position by itself.

use protocol::{Fields, Position, QueueIdentity};
use redis::{Cmd, Pipeline, Value, cmd};
use tokio::sync::OnceCell;

use super::{
    ChunkQueue,
    parts::Parts,
    settlement::{Settlement, Settlements},
};
use crate::{BusError, Connection, script::Script};

/// From how many entries on a transaction costs less than a script.
const WORTH_IT: usize = 16;

/// Whether Redis carries out transactions for us: without `MULTI` the commands would be carried out one by one.
#[derive(Debug, Default)]
pub(super) struct Transactions(OnceCell<bool>);

impl Transactions {
    async fn are_possible(&self, connection: &Connection) -> bool {
        let possible = self.0.get_or_try_init(async || {
            let mut pipeline = Pipeline::with_capacity(1);
            pipeline.atomic().add_command(cmd("PING"));
            match connection.pipeline::<Value>(&pipeline).await {
                Ok(_) => Ok(true),
                // A user without the right, or a proxy that cannot.
                Err(cause) if matches!(cause.code(), Some("NOPERM" | "ERR")) => Ok(false),
                Err(cause) => Err(cause),
            }
        });
        possible.await.copied().unwrap_or(false)
    }
}

impl ChunkQueue {
    /// Commits entries whose positions are all new, if they are many. `None` when nothing was done, or the
    /// connection ended and it is not known.
    pub(super) async fn commit_in_transaction(
        &self,
        identity: &QueueIdentity,
        max_len: u64,
        entries: &[(Position, &Fields)],
        parts: &Parts,
    ) -> Option<Settlements> {
        let connection = &self.0.connection;
        let places = parts.iter().map(|part| part.places.len());
        if entries.len() < WORTH_IT
            || places.sum::<usize>() != entries.len()
            || !self.0.transactions.are_possible(connection).await
        {
            return None;
        }
        let script = &self.0.scripts.open_gate;
        for open_gate in [Script::by_hash, Script::by_source] {
            let open_gate = self.open_gate(open_gate(script), identity, parts);
            let commands = self.transaction(open_gate, max_len, entries, parts);
            let answers = match connection.pipeline(&commands).await {
                Ok(answers) => answers,
                // It may yet be carried out. Whatever came behind it would find the positions settled.
                Err(cause) if cause.is_timeout() => {
                    return Some(vec![Err(cause.into()); parts.messages()]);
                }
                Err(_) => return None,
            };
            let mut answers = answers.into_iter();
            match answers.next()? {
                Ok(Value::Int(1)) => return Some(self.added(answers, parts)),
                Err(cause) if cause.code() == Some("NOSCRIPT") => {}
                Ok(_) | Err(_) => return None,
            }
        }
        None
    }

    /// The outcome of each message: all are settled, and have their entries.
    fn added(
        &self,
        answers: impl Iterator<Item = Result<Value, BusError>>,
        parts: &Parts,
    ) -> Settlements {
        let mut settlements = vec![Ok(Settlement::Settled); parts.messages()];
        let places = parts.iter().flat_map(|part| &part.places);
        for (place, answer) in places.zip(answers) {
            // There is no known way to this: the script looks at all that can go wrong.
            if let Err(cause) = answer {
                settlements[*place] = Err(self.unknown(&cause.to_string()));
            }
        }
        settlements
    }

    fn transaction(
        &self,
        open_gate: Cmd,
        max_len: u64,
        entries: &[(Position, &Fields)],
        parts: &Parts,
    ) -> Pipeline {
        let gate = &self.0.keys.gate;
        let mut commands = Pipeline::with_capacity(entries.len() + 2);
        commands.atomic().ignore_errors().add_command(open_gate);
        for place in parts.iter().flat_map(|part| &part.places) {
            let fields = entries[*place].1;
            let bytes = fields.bytes() + gate.len() + 64;
            let mut add = Cmd::with_capacity(2 * fields.len() + 7, bytes);
            add.arg("XADD").arg(gate).arg("NOMKSTREAM");
            if max_len > 0 {
                add.arg("MAXLEN").arg("~").arg(max_len);
            }
            add.arg("*");
            for text in fields.texts() {
                add.arg(text);
            }
            commands.add_command(add);
        }
        let mut shut_gate = cmd("RENAMENX");
        shut_gate.arg(gate).arg(&self.0.processed_key);
        commands.add_command(shut_gate);
        commands
    }

    fn open_gate(&self, mut script: Cmd, identity: &QueueIdentity, parts: &Parts) -> Cmd {
        let keys = &self.0.keys;
        script.arg(6).arg(&keys.queue).arg(&keys.id_log);
        script.arg(&keys.progress).arg(&keys.account);
        script.arg(&self.0.processed_key).arg(&keys.gate);
        script.arg(identity.as_str());
        parts.iter().for_each(|part| part.add_to(&mut script));
        script
    }
}
