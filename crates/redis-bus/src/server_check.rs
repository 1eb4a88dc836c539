//! What about the server's own settings endangers messages.
//!
//! Managed servers often refuse `CONFIG`; what cannot be found out is left out.

use std::collections::HashMap;

use redis::cmd;

use crate::{BusError, Connection};

/// Redis's default for subscribers: cut off at 32 MiB, or at 8 MiB for 60 s
/// (<https://redis.io/docs/latest/develop/reference/clients/#output-buffer-limits>).
const DEFAULT_PUBSUB_LIMIT: &str = "pubsub 33554432 8388608 60";

/// A setting of the server that endangers messages; shown, it says why and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Danger {
    /// Keys may be evicted.
    #[error(
        "maxmemory-policy is {policy}: when memory runs short, Redis deletes what de-duplication \
         remembers, and messages; set it with `CONFIG SET maxmemory-policy noeviction` and in redis.conf"
    )]
    Eviction {
        /// The policy.
        policy: String,
    },
    /// A subscriber that falls behind is cut off soon.
    #[error(
        "client-output-buffer-limit for pubsub is at its default: a group that falls behind by 32 MiB \
         is cut off, and what was waiting for it is lost; set it with `CONFIG SET \
         client-output-buffer-limit \"pubsub 256mb 64mb 60\"` and in redis.conf"
    )]
    PubSubLimit,
    /// Nothing outlives the server.
    #[error(
        "persistence is off: the queue does not outlive a restart of Redis; set it with `CONFIG \
         SET appendonly yes` and in redis.conf"
    )]
    NotPersistent,
}

/// Looks at the settings of the server.
///
/// # Errors
/// [`BusError`] when Redis cannot be reached or does not tell about itself.
pub async fn dangers(connection: &Connection) -> Result<Vec<Danger>, BusError> {
    let mut dangers = Vec::new();
    let memory = info(connection, "memory").await?;
    if let Some(policy) = memory.get("maxmemory_policy")
        && policy != "noeviction"
    {
        let policy = policy.clone();
        dangers.push(Danger::Eviction { policy });
    }
    let limits = configured(connection, "client-output-buffer-limit").await;
    if limits.is_some_and(|limits| limits.contains(DEFAULT_PUBSUB_LIMIT)) {
        dangers.push(Danger::PubSubLimit);
    }
    let persistence = info(connection, "persistence").await?;
    let has_log = persistence.get("aof_enabled").is_none_or(|on| on != "0");
    let saves = configured(connection, "save").await;
    if !has_log && saves.is_some_and(|saves| saves.is_empty()) {
        dangers.push(Danger::NotPersistent);
    }
    Ok(dangers)
}

/// The lines of a section of `INFO`.
pub(crate) async fn info(
    connection: &Connection,
    section: &str,
) -> Result<HashMap<String, String>, BusError> {
    let text: String = connection.query(cmd("INFO").arg(section)).await?;
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    Ok(lines
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect())
}

/// A setting of the server, if it tells.
async fn configured(connection: &Connection, name: &str) -> Option<String> {
    let answer: Result<HashMap<String, String>, _> =
        connection.query(cmd("CONFIG").arg("GET").arg(name)).await;
    answer.ok()?.remove(name)
}
