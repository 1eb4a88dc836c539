//! The outcomes of the messages: both streams, read to the end.

use std::collections::{BTreeMap, HashSet};

use anyhow::Result;
use local_stack::redis::{
    self, AsyncCommands,
    aio::MultiplexedConnection,
    streams::{StreamId, StreamRangeReply},
};
use protocol::{
    keys::{FAILED_STREAM, PROCESSED_STREAM},
    message::MESSAGE_ID,
    processed::CONSUMER_ID,
};

/// How many entries are read at once.
const PAGE: usize = 5000;

/// The field of a dead letter that says why.
pub(crate) const REASON: &str = "reason";

/// What is in the streams.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    /// Entries of `messages:processed`.
    pub processed: u64,
    /// How many of them repeat a message id.
    pub duplicates: u64,
    /// How many each consumer processed.
    pub by_consumer: BTreeMap<String, u64>,
    /// Dead letters.
    pub failed: u64,
    /// How many failed for each reason.
    pub by_reason: BTreeMap<String, u64>,
    /// Failed messages that were not processed as well.
    failed_only: u64,
}

impl Account {
    /// Reads both streams.
    pub(crate) async fn read(connection: &mut MultiplexedConnection) -> Result<Self> {
        let mut account = Self::default();
        let mut ids = HashSet::new();
        let mut pages = Pages::of(PROCESSED_STREAM);
        while let Some(entries) = pages.next(connection).await? {
            for entry in entries {
                account.add_processed(&entry, &mut ids);
            }
        }
        let mut pages = Pages::of(FAILED_STREAM);
        while let Some(entries) = pages.next(connection).await? {
            for entry in entries {
                account.add_failed(&entry, &ids);
            }
        }
        Ok(account)
    }

    /// Messages that are in neither stream.
    pub(crate) fn lost(&self, published: u64) -> u64 {
        published.saturating_sub(self.processed - self.duplicates + self.failed_only)
    }

    /// Whether each message is in exactly one place, once.
    pub(crate) fn adds_up(&self, published: u64) -> bool {
        self.duplicates == 0 && self.processed + self.failed == published
    }

    fn add_processed(&mut self, entry: &StreamId, ids: &mut HashSet<String>) {
        self.processed += 1;
        if !ids.insert(field(entry, MESSAGE_ID)) {
            self.duplicates += 1;
        }
        *self
            .by_consumer
            .entry(field(entry, CONSUMER_ID))
            .or_default() += 1;
    }

    fn add_failed(&mut self, entry: &StreamId, processed: &HashSet<String>) {
        self.failed += 1;
        self.failed_only += u64::from(!processed.contains(&field(entry, MESSAGE_ID)));
        *self.by_reason.entry(field(entry, REASON)).or_default() += 1;
    }
}

/// The first entries of `messages:processed`, as Redis gives them: stream id, then fields and values.
pub(crate) async fn first_entries(
    connection: &mut MultiplexedConnection,
    count: usize,
) -> Result<Vec<(String, Vec<String>)>> {
    let mut command = redis::cmd("XRANGE");
    command.arg(PROCESSED_STREAM).arg("-").arg("+");
    Ok(command
        .arg("COUNT")
        .arg(count)
        .query_async(connection)
        .await?)
}

/// The length of both streams together.
pub(crate) async fn settled(connection: &mut MultiplexedConnection) -> Result<u64> {
    let (processed, failed): (u64, u64) = redis::pipe()
        .xlen(PROCESSED_STREAM)
        .xlen(FAILED_STREAM)
        .query_async(connection)
        .await?;
    Ok(processed + failed)
}

/// A stream, page after page.
pub(crate) struct Pages {
    key: &'static str,
    start: String,
}

impl Pages {
    pub(crate) fn of(key: &'static str) -> Self {
        let start = "-".to_owned();
        Self { key, start }
    }

    /// The next entries; `None` after the last.
    pub(crate) async fn next(
        &mut self,
        connection: &mut MultiplexedConnection,
    ) -> Result<Option<Vec<StreamId>>> {
        let page: StreamRangeReply = connection
            .xrange_count(self.key, &self.start, "+", PAGE)
            .await?;
        let Some(last) = page.ids.last() else {
            return Ok(None);
        };
        self.start = format!("({}", last.id);
        Ok(Some(page.ids))
    }
}

/// A field of an entry; empty where there is none.
pub(crate) fn field(entry: &StreamId, name: &str) -> String {
    entry.get(name).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use local_stack::PrivateRedis;

    use super::*;

    #[tokio::test]
    async fn every_entry_of_both_streams_is_counted_whatever_the_page() {
        let redis = PrivateRedis::start(&[]).await.unwrap();
        let mut connection = redis.connect().await.unwrap();
        let mut pipeline = redis::pipe();
        for number in 0..PAGE + 2 {
            let id = number.to_string();
            let fields = [(MESSAGE_ID, id.as_str()), (CONSUMER_ID, "a:1")];
            pipeline.xadd(PROCESSED_STREAM, "*", &fields).ignore();
        }
        pipeline.xadd(
            PROCESSED_STREAM,
            "*",
            &[(MESSAGE_ID, "0"), (CONSUMER_ID, "b:1")],
        );
        pipeline.xadd(
            FAILED_STREAM,
            "*",
            &[(MESSAGE_ID, "1"), (REASON, "rejected")],
        );
        pipeline.xadd(
            FAILED_STREAM,
            "*",
            &[(MESSAGE_ID, "x"), (REASON, "rejected")],
        );
        let _: Vec<String> = pipeline.query_async(&mut connection).await.unwrap();

        let whole = u64::try_from(PAGE).unwrap() + 2;
        assert_eq!(settled(&mut connection).await.unwrap(), whole + 3);
        let account = Account::read(&mut connection).await.unwrap();
        assert_eq!((account.processed, account.duplicates), (whole + 1, 1));
        assert_eq!((account.failed, account.by_reason["rejected"]), (2, 2));
        assert_eq!(account.by_consumer["a:1"], whole);
        assert_eq!(account.lost(whole + 2), 1, "one is in neither stream");
        assert!(!account.adds_up(whole));
        assert_eq!(first_entries(&mut connection, 3).await.unwrap().len(), 3);
    }
}
