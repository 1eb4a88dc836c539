//! What those who watch are shown, as JSON.

use std::{collections::HashMap, time::SystemTime};

use redis_bus::{chunk_queue::ReaderStatus, dead_letters::Latest};
use serde::Serialize;

use crate::observe::{history::Point, status::StatusBody};

/// The group at one instant.
#[derive(Debug, Serialize)]
pub(super) struct Snapshot {
    /// Milliseconds since 1970.
    pub(super) at_ms: u64,
    /// What happened since the last one; null while that is not known.
    pub(super) point: Option<Point>,
    /// What `GET /status` tells.
    pub(super) status: StatusBody,
    /// When Redis told the account; null, and the account is zeros, before it ever did.
    pub(super) account_at_ms: Option<u64>,
    /// Null while Redis tells the account.
    pub(super) outage: Option<Outage>,
    /// How many messages a second each consumer took since the last one.
    pub(super) consumer_rates: HashMap<String, f64>,
    /// How long the oldest message has waited.
    pub(super) oldest_seconds: Option<f64>,
    /// RFC 3339; null without a subscription.
    pub(super) subscribed_since: Option<String>,
    pub(super) redis: Redis,
    /// Who reads the queue; null while Redis does not say.
    pub(super) readers: Option<Vec<Reader>>,
    pub(super) dead_letters: Option<Letters>,
}

/// A time in which Redis does not tell the account.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Outage {
    /// When that was first noticed, in milliseconds since 1970.
    pub(super) since_ms: u64,
    pub(super) reason: String,
}

/// How Redis is.
#[derive(Debug, Serialize)]
pub(super) struct Redis {
    pub(super) at: String,
    pub(super) ping_ms: Option<f64>,
    /// Why it does not answer `PING`.
    pub(super) trouble: Option<String>,
}

/// One who reads the queue.
#[derive(Debug, Serialize)]
pub(super) struct Reader {
    name: String,
    pending: u64,
    idle_seconds: f64,
    /// Whether it is the replica that tells.
    is_this: bool,
}

impl Reader {
    pub(super) fn new(reader: ReaderStatus, this: &str) -> Self {
        Self {
            is_this: this == reader.name,
            name: reader.name,
            pending: reader.pending,
            idle_seconds: reader.idle.as_secs_f64(),
        }
    }
}

/// What there is of dead letters.
#[derive(Debug, Serialize)]
pub(super) struct Letters {
    count: u64,
    newest: Option<String>,
}

impl From<Latest> for Letters {
    fn from(latest: Latest) -> Self {
        let Latest { count, newest } = latest;
        Self { count, newest }
    }
}

pub(super) fn rfc3339(at: SystemTime) -> String {
    humantime::format_rfc3339_millis(at).to_string()
}
