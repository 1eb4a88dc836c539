//! Everything at once: readers that commit, give up, put back, die and come late, and a replay all the while.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use protocol::{DeadLetter, DeadLetterReason, Fields, Message, Position, QueueIdentity};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use redis_bus::chunk_queue::{ChunkQueue, ChunkReader, Indices, QueueError, ReadChunk};
use redis_bus::dead_letters::ReplayMode;
use tokio::{task::JoinSet, time::Instant};

use crate::{
    replayer::replay_all,
    scene::{FAILED, Scene, queue_in},
};

const MESSAGES: usize = 1500;

/// A reader that does with chunks whatever a reader can.
struct Reader {
    queue: ChunkQueue,
    identity: QueueIdentity,
    random: StdRng,
    /// What it had in hand and let go.
    late: BTreeMap<Position, Bytes>,
}

impl Reader {
    /// Reads until it is stopped.
    async fn run(mut self) -> Result<()> {
        let mut reader = ChunkReader::new(self.queue.clone());
        loop {
            for read in reader.next(50).await? {
                self.handle(&reader, read).await?;
            }
        }
    }

    async fn handle(&mut self, reader: &ChunkReader, read: ReadChunk) -> Result<()> {
        let chunk = read.lease.chunk();
        let open = Position::all(chunk).zip(read.messages);
        let mut open: BTreeMap<_, _> = open
            .filter(|(position, _)| !read.settled.contains(position.index()))
            .collect();
        if self.random.random_bool(0.4) {
            let keep = self.some(&open);
            let indices: Indices = keep.keys().map(|position| position.index()).collect();
            let size = self.random.random_range(1..20);
            let split = self
                .queue
                .split(&self.identity, &read.lease, indices, size)
                .await;
            split?;
            // It comes late for what it has put back, or to which nothing was done.
            self.late.append(&mut open);
            open = keep;
        }
        if self.random.random_bool(0.3) {
            let failed = self.some(&open);
            self.give_up(&failed).await?;
        }
        if self.random.random_bool(0.6) {
            self.commit(&open).await?;
        } else {
            let some = self.some(&open);
            self.commit(&some).await?;
            self.late.append(&mut open);
        }
        if self.random.random_bool(0.2) {
            let late = std::mem::take(&mut self.late);
            self.commit(&late).await?;
        }
        let leases = reader.leases();
        leases
            .give_back(read.lease, read.deliveries, Duration::ZERO)
            .await?;
        Ok(())
    }

    /// Some of the messages.
    fn some(&mut self, messages: &BTreeMap<Position, Bytes>) -> BTreeMap<Position, Bytes> {
        let some = messages.iter().filter(|_| self.random.random_bool(0.5));
        some.map(|(position, message)| (*position, message.clone()))
            .collect()
    }

    async fn commit(&self, messages: &BTreeMap<Position, Bytes>) -> Result<()> {
        let mut entries: Vec<(Position, Fields)> = Vec::new();
        for (position, message) in messages {
            let id = Message::parse(message.clone())?.id().to_string();
            entries.push((*position, [("message_id", id)].into_iter().collect()));
        }
        let entries: Vec<_> = entries.iter().map(|(at, fields)| (*at, fields)).collect();
        let settlements = self.queue.commit(&self.identity, 0, &entries).await;
        settlements
            .into_iter()
            .try_for_each(|settlement| settlement.map(|_| ()))?;
        Ok(())
    }

    async fn give_up(&self, messages: &BTreeMap<Position, Bytes>) -> Result<()> {
        let mut letters = Vec::new();
        for (position, message) in messages {
            let message = Message::parse(message.clone())?;
            let letter = DeadLetter::new(&message, DeadLetterReason::Rejected, 1, "");
            letters.push((*position, letter));
        }
        let letters: Vec<_> = letters.iter().map(|(at, letter)| (*at, letter)).collect();
        let settlements = self.queue.give_up(&self.identity, &letters).await;
        let failure: Option<QueueError> = settlements.into_iter().find_map(Result::err);
        failure.map_or(Ok(()), |cause| Err(cause.into()))
    }
}

#[tokio::test]
async fn whatever_readers_do_each_message_has_one_entry_in_the_end() -> Result<()> {
    let scene = Scene::start().await?;
    let ids: Vec<_> = (0..MESSAGES).map(|number| number.to_string()).collect();
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    for ids in ids.chunks(60) {
        scene.admit(ids).await?;
    }
    let mut readers = JoinSet::new();
    for seed in 0..3 {
        let reader = Reader {
            queue: queue_in(&scene.redis)?,
            identity: scene.identity.clone(),
            random: StdRng::seed_from_u64(seed),
            late: BTreeMap::new(),
        };
        readers.spawn(reader.run());
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    let expected = u64::try_from(MESSAGES)?;
    while scene.account().await?.processed < expected {
        ensure!(Instant::now() < deadline, "{:?}", scene.account().await?);
        if let Some(ended) = readers.try_join_next() {
            ended?.context("a reader ended")?;
        }
        replay_all(scene.redis.port(), ReplayMode::Real).await?;
    }
    readers.shutdown().await;
    scene.expect_empty().await?;
    let account = scene.account().await?;
    assert_eq!((account.received, account.processed), (expected, expected));
    assert!(account.replayed > 0, "{account:?}");
    assert_eq!(scene.command::<u64>(&["XLEN", FAILED]).await?, 0);
    scene.expect_each_once(MESSAGES).await
}
