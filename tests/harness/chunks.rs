//! The queue, as a group fills it, and what is left of it.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use local_stack::{PrivateRedis, wait_until};
use protocol::{ChunkId, Message};
use redis_bus::{
    Connection, Endpoint, Fingerprint, RedisSettings,
    chunk_queue::{Admission, Admitted, ChunkAccount, ChunkQueue, Offer},
};

use crate::{Bus, Entry, PATIENCE, entry::entries};

/// The stream of dead letters beside the queue.
pub const FAILED: &str = "{messages:processed}:failed";

/// For how long ids are remembered.
const WINDOW: Duration = Duration::from_secs(600);

/// The queue in a private Redis.
#[derive(Debug)]
pub struct Chunks {
    queue: ChunkQueue,
    bus: Bus,
}

impl Chunks {
    /// The queue beside `messages:processed`; it need not be there.
    ///
    /// # Errors
    /// When there can be no such queue.
    pub fn of(redis: &PrivateRedis) -> Result<Self> {
        let settings = RedisSettings {
            host: "127.0.0.1".to_owned(),
            port: redis.port(),
            url: None,
        };
        let connection = Connection::new(Endpoint::new(&settings)?);
        Ok(Self {
            queue: ChunkQueue::new(connection, "messages:processed"),
            bus: Bus::of(redis),
        })
    }

    /// Admits messages of nothing but their ids, as one chunk.
    ///
    /// # Errors
    /// As [`Chunks::admit`].
    pub async fn admit_ids(&self, ids: &[String]) -> Result<ChunkId> {
        let messages: Vec<_> = ids.iter().map(|id| crate::bus::message(id)).collect();
        self.admit(&messages).await
    }

    /// Admits messages as one chunk, whatever they are.
    ///
    /// # Errors
    /// When Redis refuses, or there are too many for one.
    pub async fn admit(&self, messages: &[impl AsRef<[u8]>]) -> Result<ChunkId> {
        let messages = messages
            .iter()
            .map(|body| Bytes::copy_from_slice(body.as_ref()));
        let messages: Vec<_> = messages.collect();
        let fingerprint = |body: &Bytes| match Message::parse(body.clone()) {
            Ok(message) => Fingerprint::of(message.id().as_str()),
            Err(_) => Fingerprint::of(&String::from_utf8_lossy(body)),
        };
        let fingerprints: Vec<_> = messages.iter().map(fingerprint).collect();
        let (identity, last) = self.queue.open().await?;
        let admission = Admission {
            window: WINDOW,
            reader: None,
        };
        let mut read_to = last;
        loop {
            let offer = Offer {
                messages: &messages,
                fingerprints: &fingerprints,
                duplicates: 0,
                read_to: Some(read_to),
            };
            match self.queue.offer(&identity, &admission, offer).await? {
                Admitted::Appended { chunk, .. } => return Ok(chunk),
                // A consumer has put messages back meanwhile.
                Admitted::Missed(page) => read_to = page.read_to,
                other => bail!("it was not admitted: {other:?}"),
            }
        }
    }

    /// The account, which adds up.
    ///
    /// # Errors
    /// When it does not.
    pub async fn account(&self) -> Result<ChunkAccount> {
        let account = self.queue.account().await?;
        let settled = account.duplicate + account.processed + account.dead_lettered;
        let left = account.in_flight + account.waiting;
        ensure!(account.received == settled + left, "{account:?}");
        Ok(account)
    }

    /// Waits until so many are processed and so many given up, and nothing is left.
    ///
    /// # Errors
    /// When that does not come to be in time.
    pub async fn wait_for(&self, processed: u64, dead_lettered: u64) -> Result<()> {
        let what = format!("{processed} to be processed, {dead_lettered} given up");
        let waited = wait_until(&what, PATIENCE, async || {
            let account = self.account().await?;
            let left = account.in_flight + account.waiting;
            let settled = (account.processed, account.dead_lettered);
            Ok(settled == (processed, dead_lettered) && left == 0)
        });
        let waited = waited.await;
        waited.with_context(|| "the account is another")?;
        let left: (u64, u64) = (
            self.bus.command(&["XLEN", self.queue.key()]).await?,
            self.bus
                .command(&["HLEN", "{messages:processed}:progress"])
                .await?,
        );
        ensure!(left == (0, 0), "{left:?} chunks, partly settled");
        Ok(())
    }

    /// The dead letters.
    ///
    /// # Errors
    /// When Redis cannot be reached.
    pub async fn failed(&self) -> Result<Vec<Entry>> {
        entries(&mut self.bus.connect().await?, FAILED).await
    }
}
