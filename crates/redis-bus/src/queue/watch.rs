//! Looking at the durable queue from outside: how old it is, and who reads it.

use std::{collections::HashMap, time::Duration};

use redis::{Cmd, FromRedisValue, Value, cmd};

use super::{DurableQueue, RECLAIM_IDLE, STREAM_GROUP};
use crate::{BusError, probe::Need};

/// One who reads the queue: a replica of the group, or a consumer that pulls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReaderStatus {
    /// Its name in the `StreamGroup`.
    pub name: String,
    /// How many entries it was handed and has not settled.
    pub pending: u64,
    /// How long it has asked for nothing.
    pub idle: Duration,
}

impl DurableQueue {
    /// The keys that messages are written to on their way through the queue.
    #[must_use]
    pub fn needs(&self) -> Vec<Need> {
        let own = [Need::stream(&self.key), Need::account(&self.account_key)];
        own.into_iter().chain(self.queued.needs()).collect()
    }

    /// How long the oldest unsettled entry has been in the queue, by the clock of Redis; `None` when
    /// there is none.
    ///
    /// # Errors
    /// [`BusError`] when Redis cannot be reached or refuses.
    pub async fn oldest_age(&self) -> Result<Option<Duration>, BusError> {
        let call = |command: &mut Cmd| {
            command.arg(1).arg(&self.key).arg(STREAM_GROUP);
        };
        let millis: i64 = self.connection.script(&self.watch, call).await?;
        Ok(u64::try_from(millis).ok().map(Duration::from_millis))
    }

    /// Whether somebody reads the queue just now: each reader asks, or keeps what it has, every few seconds.
    ///
    /// # Errors
    /// [`BusError`] when Redis cannot be reached or refuses.
    pub async fn is_read(&self) -> Result<bool, BusError> {
        let readers = self.readers(1).await?;
        Ok(readers.iter().any(|reader| reader.idle < RECLAIM_IDLE))
    }

    /// Who reads the queue, `most` of them at the most, those that asked last first.
    ///
    /// # Errors
    /// [`BusError`] when Redis cannot be reached or refuses.
    pub async fn readers(&self, most: usize) -> Result<Vec<ReaderStatus>, BusError> {
        let mut command = cmd("XINFO");
        command.arg("CONSUMERS").arg(&self.key).arg(STREAM_GROUP);
        let answer: Result<Vec<HashMap<String, Value>>, _> = self.connection.query(&command).await;
        let readers = match answer {
            Ok(readers) => readers,
            // There is no queue yet, or no StreamGroup.
            Err(cause) if matches!(cause.code(), Some("ERR" | "NOGROUP")) => Vec::new(),
            Err(cause) => return Err(cause),
        };
        let mut readers: Vec<_> = readers.into_iter().filter_map(reader).collect();
        readers.sort_by(|a, b| a.idle.cmp(&b.idle).then_with(|| a.name.cmp(&b.name)));
        readers.truncate(most);
        Ok(readers)
    }
}

fn reader(mut fields: HashMap<String, Value>) -> Option<ReaderStatus> {
    Some(ReaderStatus {
        name: field(&mut fields, "name")?,
        pending: field(&mut fields, "pending")?,
        idle: Duration::from_millis(field(&mut fields, "idle")?),
    })
}

fn field<T: FromRedisValue>(fields: &mut HashMap<String, Value>, name: &str) -> Option<T> {
    T::from_redis_value(fields.remove(name)?).ok()
}
