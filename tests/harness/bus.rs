//! Publishing, and what stands in Redis.

use std::{collections::HashMap, time::Duration};

use crate::PATIENCE;
use crate::entry::entries;
pub use crate::entry::{Entry, ids, json, repeated};
use anyhow::{Context, Result};
use local_stack::{
    PrivateRedis,
    redis::{
        self, AsyncConnectionConfig, Client, FromRedisValue, ToRedisArgs,
        aio::MultiplexedConnection,
    },
    wait_until,
};

const CHANNEL: &str = "messages:published";
const CONSUMER_LIST: &str = "consumer:ids";
const PROCESSED: &str = "messages:processed";
const FAILED: &str = "{messages:processed}:failed";

const QUEUE: &str = "{messages:processed}:queue";
const PROGRESS: &str = "{messages:processed}:progress";
const ACCOUNT: &str = "{messages:processed}:account";
const STREAM_GROUP: &str = "consumer-group";

/// Sets the idle time of all pending entries, each staying with its reader, and counts them.
const AGE_PENDING: &str = "
    local pending = redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 100000)
    for _, entry in ipairs(pending) do
        redis.call('XCLAIM', KEYS[1], ARGV[1], entry[2], 0, entry[1], 'IDLE', 3600000, 'JUSTID')
    end
    return #pending";

/// How long Redis may take for an answer; longer than any test freezes it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// How many messages are published in one round trip.
const BATCH: usize = 500;

/// A Redis as publisher and onlooker see it; connects anew for each question, so that it is at
/// home in a Redis that comes and goes.
#[derive(Debug, Clone)]
pub struct Bus {
    url: String,
}

impl Bus {
    /// That of a private Redis.
    #[must_use]
    pub fn of(redis: &PrivateRedis) -> Self {
        Self::at(&format!("redis://127.0.0.1:{}", redis.port()))
    }

    /// That of a URL.
    #[must_use]
    pub fn at(url: &str) -> Self {
        Self {
            url: url.to_owned(),
        }
    }

    /// A connection of one's own.
    ///
    /// # Errors
    /// When Redis cannot be reached.
    pub async fn connect(&self) -> Result<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(ANSWER_TIMEOUT))
            .set_response_timeout(Some(ANSWER_TIMEOUT));
        let client = Client::open(self.url.as_str())?;
        Ok(client
            .get_multiplexed_async_connection_with_config(&config)
            .await?)
    }

    /// Any command.
    ///
    /// # Errors
    /// When Redis cannot be reached or refuses.
    pub async fn command<T: FromRedisValue>(&self, words: &[&str]) -> Result<T> {
        let mut connection = self.connect().await?;
        let (name, args) = words.split_first().context("a command has a name")?;
        Ok(redis::cmd(name)
            .arg(args)
            .query_async(&mut connection)
            .await?)
    }

    /// Publishes any payload; says how many subscribers heard it.
    ///
    /// # Errors
    /// When Redis cannot be reached.
    pub async fn publish(&self, payload: impl ToRedisArgs) -> Result<u64> {
        let mut connection = self.connect().await?;
        let mut publish = redis::cmd("PUBLISH");
        publish.arg(CHANNEL).arg(payload);
        Ok(publish.query_async(&mut connection).await?)
    }

    /// Publishes a message of nothing but its id.
    ///
    /// # Errors
    /// When Redis cannot be reached.
    pub async fn publish_id(&self, id: &str) -> Result<u64> {
        self.publish(message(id)).await
    }

    /// Publishes messages in one go; says of each how many subscribers heard it.
    ///
    /// # Errors
    /// When Redis cannot be reached.
    pub async fn publish_ids(&self, ids: &[String]) -> Result<Vec<u64>> {
        let mut connection = self.connect().await?;
        let mut heard = Vec::with_capacity(ids.len());
        for batch in ids.chunks(BATCH) {
            let mut pipeline = redis::pipe();
            for id in batch {
                pipeline.cmd("PUBLISH").arg(CHANNEL).arg(message(id));
            }
            let answers: Vec<u64> = pipeline.query_async(&mut connection).await?;
            heard.extend(answers);
        }
        Ok(heard)
    }

    /// The stream of processed messages.
    ///
    /// # Errors
    /// When Redis cannot be reached.
    pub async fn processed(&self) -> Result<Vec<Entry>> {
        self.entries(PROCESSED).await
    }

    /// The stream of dead letters.
    ///
    /// # Errors
    /// When Redis cannot be reached.
    pub async fn failed(&self) -> Result<Vec<Entry>> {
        self.entries(FAILED).await
    }

    /// Adds dead letters of messages of nothing but their ids, as a group would have long ago.
    ///
    /// # Errors
    /// When Redis cannot be reached.
    pub async fn fail(&self, ids: &[&str]) -> Result<()> {
        let mut connection = self.connect().await?;
        for batch in ids.chunks(BATCH) {
            let mut pipeline = redis::pipe();
            for id in batch {
                let payload = message(id);
                pipeline.cmd("XADD").arg(FAILED).arg("*").arg(&[
                    ("message_id", *id),
                    ("payload", &payload),
                    ("payload_bytes", &payload.len().to_string()),
                    ("reason", "attempts_exhausted"),
                    ("attempts", "10"),
                    ("last_error", "answered 500"),
                    ("failed_at", "2026-01-01T00:00:00.000Z"),
                ]);
            }
            let _entries: Vec<String> = pipeline.query_async(&mut connection).await?;
        }
        // Only a group makes an account.
        let identity: Option<String> = self.command(&["HGET", ACCOUNT, "identity"]).await?;
        if identity.is_some() {
            let count = ids.len().to_string();
            for field in ["received", "dead_lettered"] {
                self.command::<u64>(&["HINCRBY", ACCOUNT, field, &count])
                    .await?;
            }
        }
        Ok(())
    }

    /// How many entries the two streams have together.
    ///
    /// # Errors
    /// When Redis cannot be reached.
    pub async fn finished(&self) -> Result<usize> {
        let mut connection = self.connect().await?;
        let (processed, failed): (usize, usize) = redis::pipe()
            .cmd("XLEN")
            .arg(PROCESSED)
            .cmd("XLEN")
            .arg(FAILED)
            .query_async(&mut connection)
            .await?;
        Ok(processed + failed)
    }

    /// Waits for so many processed messages and returns them.
    ///
    /// # Errors
    /// When there are not so many in time.
    pub async fn wait_for_processed(&self, count: usize) -> Result<Vec<Entry>> {
        self.wait_for(PROCESSED, count).await
    }

    /// Waits for so many dead letters and returns them.
    ///
    /// # Errors
    /// When there are not so many in time.
    pub async fn wait_for_failed(&self, count: usize) -> Result<Vec<Entry>> {
        self.wait_for(FAILED, count).await
    }

    /// How many messages are in the queue.
    ///
    /// # Errors
    /// When Redis cannot be reached.
    pub async fn queue_length(&self) -> Result<usize> {
        let chunks: Vec<(String, redis::Value)> =
            self.command(&["XRANGE", QUEUE, "-", "+"]).await?;
        let ids = chunks.into_iter().map(|(id, _)| id).collect();
        self.unsettled(ids).await
    }

    /// How many of them are handed out.
    ///
    /// # Errors
    /// When Redis cannot be reached, or nobody ever read the queue.
    pub async fn pending(&self) -> Result<usize> {
        let words = ["XPENDING", QUEUE, STREAM_GROUP, "-", "+", "100000"];
        let chunks: Vec<(String, String, u64, u64)> = self.command(&words).await?;
        let ids = chunks.into_iter().map(|(id, ..)| id).collect();
        self.unsettled(ids).await
    }

    /// How many messages of these chunks are not settled. The lowest nine bits of a chunk's number are its
    /// messages less one.
    async fn unsettled(&self, chunks: Vec<String>) -> Result<usize> {
        let progress: HashMap<String, Vec<u8>> = self.command(&["HGETALL", PROGRESS]).await?;
        let mut messages = 0;
        for chunk in chunks {
            let (_, number) = chunk.split_once('-').context("no id of an entry")?;
            let settled = progress.get(&chunk).into_iter().flatten();
            let settled: u32 = settled.map(|byte| byte.count_ones()).sum();
            messages += number.parse::<usize>()? % 512 + 1 - usize::try_from(settled)?;
        }
        Ok(messages)
    }

    /// Makes all that is handed out look as if nobody had kept it alive for an hour.
    ///
    /// # Errors
    /// When Redis cannot be reached.
    pub async fn age_pending(&self) -> Result<usize> {
        self.command(&["EVAL", AGE_PENDING, "1", QUEUE, STREAM_GROUP])
            .await
    }

    /// The list of registered consumers.
    ///
    /// # Errors
    /// When Redis cannot be reached.
    pub async fn members(&self) -> Result<Vec<String>> {
        self.command(&["LRANGE", CONSUMER_LIST, "0", "-1"]).await
    }

    async fn wait_for(&self, stream: &str, count: usize) -> Result<Vec<Entry>> {
        let mut connection = self.connect().await?;
        let what = format!("{count} entries of {stream}");
        let length = redis::cmd("XLEN").arg(stream).to_owned();
        wait_until(&what, PATIENCE, async || {
            let mut connection = connection.clone();
            let length: usize = length.query_async(&mut connection).await?;
            Ok(length >= count)
        })
        .await?;
        entries(&mut connection, stream).await
    }

    async fn entries(&self, stream: &str) -> Result<Vec<Entry>> {
        entries(&mut self.connect().await?, stream).await
    }
}

/// A message of nothing but its id.
#[must_use]
pub fn message(id: &str) -> String {
    serde_json::json!({ "message_id": id }).to_string()
}
