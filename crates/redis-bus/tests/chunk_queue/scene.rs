//! A Redis of its own, a queue in it, and what tests ask of both.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use local_stack::{
    PrivateRedis,
    redis::{self, FromRedisValue, aio::MultiplexedConnection},
};
use protocol::{
    ChunkId, DeadLetter, DeadLetterReason, Fields, Message, Position, QueueIdentity, StreamId,
};
use redis_bus::{
    Connection, Endpoint, Fingerprint, RedisSettings,
    chunk_queue::{Admission, Admitted, ChunkAccount, ChunkQueue, Offer, Settlement},
};

pub(crate) const STREAM: &str = "messages:processed";
pub(crate) const QUEUE: &str = "{messages:processed}:queue";
pub(crate) const ID_LOG: &str = "{messages:processed}:ids";
pub(crate) const PROGRESS: &str = "{messages:processed}:progress";
pub(crate) const ACCOUNT: &str = "{messages:processed}:account";
pub(crate) const FAILED: &str = "{messages:processed}:failed";

/// The reader that chunks are handed to at once.
pub(crate) const READER: &str = "somebody";

pub(crate) struct Scene {
    pub(crate) redis: PrivateRedis,
    pub(crate) queue: ChunkQueue,
    pub(crate) identity: QueueIdentity,
    connection: MultiplexedConnection,
}

impl Scene {
    pub(crate) async fn start() -> Result<Self> {
        let redis = PrivateRedis::start(&[]).await?;
        let queue = queue_in(&redis)?;
        let (identity, last) = queue.open().await?;
        ensure!(last == StreamId::ZERO, "{last}");
        let connection = redis.connect().await?;
        Ok(Self {
            redis,
            queue,
            identity,
            connection,
        })
    }

    /// Offers messages of these ids.
    pub(crate) async fn offer(&self, ids: &[&str], read_to: StreamId) -> Result<Admitted> {
        self.offer_as(&admission(None), ids, read_to).await
    }

    pub(crate) async fn offer_as(
        &self,
        admission: &Admission,
        ids: &[&str],
        read_to: StreamId,
    ) -> Result<Admitted> {
        let messages: Vec<_> = ids.iter().map(|id| message(id)).collect();
        let fingerprints: Vec<_> = ids.iter().map(|id| Fingerprint::of(id)).collect();
        let offer = Offer {
            messages: &messages,
            fingerprints: &fingerprints,
            duplicates: 0,
            read_to: Some(read_to),
        };
        Ok(self.queue.offer(&self.identity, admission, offer).await?)
    }

    /// Admits messages of these ids to a queue that nobody else brings anything to.
    pub(crate) async fn admit(&self, ids: &[&str]) -> Result<ChunkId> {
        let (_, last) = self.queue.open().await?;
        appended(self.offer(ids, last).await?)
    }

    /// The same, and [`READER`] is handed it.
    pub(crate) async fn admit_and_hand_out(&self, ids: &[&str]) -> Result<ChunkId> {
        let (_, last) = self.queue.open().await?;
        let offered = self.offer_as(&admission(Some(READER)), ids, last).await?;
        match offered {
            Admitted::Appended {
                chunk,
                is_handed_out: true,
            } => Ok(chunk),
            other => bail!("nobody was handed it: {other:?}"),
        }
    }

    /// Commits some messages of a chunk; each entry has the id `<chunk>/<index>`. Returns the indices of those that
    /// were settled before.
    pub(crate) async fn commit(&self, chunk: ChunkId, indices: &[usize]) -> Result<Vec<usize>> {
        let settlements = commit(&self.queue, &self.identity, chunk, indices).await?;
        before(indices, settlements)
    }

    pub(crate) async fn account(&self) -> Result<ChunkAccount> {
        let account = self.queue.account().await?;
        let parts = account.duplicate + account.processed + account.dead_lettered;
        let left = account.in_flight + account.waiting;
        ensure!(account.received == parts + left, "{account:?}");
        Ok(account)
    }

    pub(crate) async fn command<T: FromRedisValue>(&self, words: &[&str]) -> Result<T> {
        let (command, args) = words.split_first().context("no command")?;
        let mut connection = self.connection.clone();
        Ok(redis::cmd(command)
            .arg(args)
            .query_async(&mut connection)
            .await?)
    }

    /// Waits until the clock of Redis shows another millisecond. Within one, the ids of chunks are in the order of
    /// their numbers, which are random unless the account has the last of them.
    pub(crate) async fn next_millisecond(&self) -> Result<()> {
        let milliseconds = async || {
            let (seconds, micros): (u64, u64) = self.command(&["TIME"]).await?;
            Ok::<_, anyhow::Error>(seconds * 1000 + micros / 1000)
        };
        let before = milliseconds().await?;
        while milliseconds().await? == before {}
        Ok(())
    }

    /// The ids of the entries in the stream of processed messages, in order.
    pub(crate) async fn processed(&self) -> Result<Vec<String>> {
        let entries: Vec<(String, Vec<String>)> =
            self.command(&["XRANGE", STREAM, "-", "+"]).await?;
        let id = |fields: Vec<String>| fields.into_iter().nth(1).unwrap_or_default();
        Ok(entries.into_iter().map(|(_, fields)| id(fields)).collect())
    }

    /// Expects that so many messages have one entry each, and that nothing is left of any chunk.
    pub(crate) async fn expect_each_once(&self, messages: usize) -> Result<()> {
        self.expect_empty().await?;
        let mut ids = self.processed().await?;
        ensure!(ids.len() == messages, "{} entries", ids.len());
        ids.sort_unstable();
        ids.dedup();
        ensure!(ids.len() == messages, "{} ids", ids.len());
        Ok(())
    }

    /// Expects that nothing is left of any chunk.
    pub(crate) async fn expect_empty(&self) -> Result<()> {
        let length: usize = self.command(&["XLEN", QUEUE]).await?;
        let partly: usize = self.command(&["HLEN", PROGRESS]).await?;
        ensure!(
            (length, partly) == (0, 0),
            "{length} chunks, {partly} partly settled"
        );
        let account = self.account().await?;
        ensure!(
            (account.in_flight, account.waiting) == (0, 0),
            "{account:?}"
        );
        Ok(())
    }
}

pub(crate) fn queue_in(redis: &PrivateRedis) -> Result<ChunkQueue> {
    queue_at(redis.port())
}

pub(crate) fn queue_at(port: u16) -> Result<ChunkQueue> {
    Ok(ChunkQueue::new(connection_to(port)?, STREAM))
}

pub(crate) fn connection_to(port: u16) -> Result<Connection> {
    let settings = RedisSettings {
        host: "127.0.0.1".to_owned(),
        port,
        url: None,
    };
    Ok(Connection::new(Endpoint::new(&settings)?))
}

pub(crate) fn admission(reader: Option<&str>) -> Admission {
    Admission {
        window: Duration::from_secs(600),
        reader: reader.map(str::to_owned),
    }
}

pub(crate) fn appended(admitted: Admitted) -> Result<ChunkId> {
    match admitted {
        Admitted::Appended { chunk, .. } => Ok(chunk),
        other => bail!("not appended: {other:?}"),
    }
}

pub(crate) fn message(id: &str) -> Bytes {
    format!(r#"{{"message_id":"{id}"}}"#).into()
}

pub(crate) fn letter(id: &str) -> Result<DeadLetter> {
    let message = Message::parse(message(id))?;
    Ok(DeadLetter::new(
        &message,
        DeadLetterReason::DeliveriesExhausted,
        3,
        "no",
    ))
}

pub(crate) fn position(chunk: ChunkId, index: usize) -> Result<Position> {
    Position::new(chunk, index).context("there is no such index")
}

pub(crate) fn entry(chunk: ChunkId, index: usize) -> Fields {
    [
        ("message_id", format!("{chunk}/{index}")),
        ("consumer_id", "127.0.0.1:5001".to_owned()),
        ("index", index.to_string()),
    ]
    .into_iter()
    .collect()
}

pub(crate) async fn commit(
    queue: &ChunkQueue,
    identity: &QueueIdentity,
    chunk: ChunkId,
    indices: &[usize],
) -> Result<Vec<Settlement>> {
    let fields: Vec<_> = indices.iter().map(|index| entry(chunk, *index)).collect();
    let mut entries = Vec::new();
    for (index, fields) in indices.iter().zip(&fields) {
        entries.push((position(chunk, *index)?, fields));
    }
    let settlements = queue.commit(identity, 0, &entries).await;
    Ok(settlements.into_iter().collect::<Result<_, _>>()?)
}

/// The indices that were settled before; an error if the chunk is unknown.
pub(crate) fn before(indices: &[usize], settlements: Vec<Settlement>) -> Result<Vec<usize>> {
    ensure!(
        !settlements.contains(&Settlement::Unknown),
        "the chunk is unknown"
    );
    let each = indices.iter().zip(settlements);
    let before = each.filter(|(_, settlement)| *settlement == Settlement::Before);
    Ok(before.map(|(index, _)| *index).collect())
}
