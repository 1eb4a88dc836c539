//! Lua scripts, which run in Redis as one atomic step.

use redis::{Cmd, cmd};

/// A script with the hash that Redis knows it by.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    source: &'static str,
    hash: String,
}

impl Script {
    /// A script from its source. `#!lua` in its first line makes Redis refuse it before any effect
    /// when it must not write: out of memory, a read-only replica, too few replicas
    /// (<https://redis.io/docs/latest/develop/programmability/lua-api/#script-flags>).
    pub(crate) fn new(source: &'static str) -> Self {
        let hash = redis::Script::new(source).get_hash().to_owned();
        Self { source, hash }
    }

    /// The command that runs it by its hash.
    pub(crate) fn by_hash(&self) -> Cmd {
        let mut command = cmd("EVALSHA");
        command.arg(&self.hash);
        command
    }

    /// The command that runs it by its source, and so has Redis learn it.
    pub(crate) fn by_source(&self) -> Cmd {
        let mut command = cmd("EVAL");
        command.arg(self.source);
        command
    }
}
