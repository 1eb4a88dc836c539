//! Many at once.

use std::collections::HashSet;

use anyhow::{Result, bail, ensure};
use protocol::{QueueIdentity, StreamId};
use redis_bus::{
    Fingerprint,
    chunk_queue::{Admitted, ChunkQueue, ChunkReader, Offer},
};
use tokio::task::JoinSet;

use crate::scene::{Scene, admission, commit, message, queue_in};

const REPLICAS: usize = 4;
const MESSAGES: usize = 2000;

/// A replica of the group, as far as admission goes.
struct Replica {
    queue: ChunkQueue,
    identity: QueueIdentity,
    known: HashSet<Fingerprint>,
    read_to: StreamId,
}

impl Replica {
    fn of(scene: &Scene) -> Result<Self> {
        Ok(Self {
            queue: queue_in(&scene.redis)?,
            identity: scene.identity.clone(),
            known: HashSet::new(),
            read_to: StreamId::ZERO,
        })
    }

    /// Offers what it does not know of what it heard, until that is admitted.
    async fn bring(&mut self, heard: &[String]) -> Result<()> {
        loop {
            let is_new = |id: &&String| !self.known.contains(&Fingerprint::of(id));
            let new: Vec<_> = heard.iter().filter(is_new).collect();
            let messages: Vec<_> = new.iter().map(|id| message(id)).collect();
            let fingerprints: Vec<_> = new.iter().map(|id| Fingerprint::of(id)).collect();
            let offer = Offer {
                messages: &messages,
                fingerprints: &fingerprints,
                duplicates: u64::try_from(heard.len() - new.len())?,
                read_to: Some(self.read_to),
            };
            match self
                .queue
                .offer(&self.identity, &admission(None), offer)
                .await?
            {
                Admitted::Appended { chunk, .. } => {
                    self.known.extend(fingerprints);
                    self.read_to = chunk.entry();
                    return Ok(());
                }
                Admitted::Counted => return Ok(()),
                Admitted::Missed(page) => {
                    let missed = page.entries.into_iter();
                    self.known
                        .extend(missed.flat_map(|entry| entry.fingerprints));
                    self.read_to = page.read_to;
                }
                Admitted::Diverged => bail!("the log lost what it had"),
            }
        }
    }
}

/// Reads until nothing comes, and commits each chunk twice, and one message of it besides, early.
async fn read_and_commit(queue: ChunkQueue, identity: QueueIdentity) -> Result<()> {
    let mut reader = ChunkReader::new(queue.clone());
    loop {
        let chunks = reader.next(100).await?;
        if chunks.is_empty() {
            return Ok(());
        }
        for chunk in chunks {
            let (id, count) = (chunk.lease.chunk(), chunk.messages.len());
            let all: Vec<_> = (0..count).collect();
            for indices in [&all[count / 2..=count / 2], &all, &all] {
                commit(&queue, &identity, id, indices).await?;
            }
        }
    }
}

#[tokio::test]
async fn of_replicas_that_hear_the_same_one_admits_each_message_and_one_commits_it() -> Result<()> {
    let scene = Scene::start().await?;
    let mut replicas = JoinSet::new();
    for number in 0..REPLICAS {
        let mut replica = Replica::of(&scene)?;
        replicas.spawn(async move {
            // Each hears them in an order of its own.
            let heard = (0..MESSAGES).map(|place| (place * (2 * number + 1)) % MESSAGES);
            let heard: Vec<_> = heard.map(|id| id.to_string()).collect();
            for heard in heard.chunks(37) {
                replica.bring(heard).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = replicas.join_next().await {
        done??;
    }
    let account = scene.account().await?;
    ensure!(account.waiting == u64::try_from(MESSAGES)?, "{account:?}");
    ensure!(
        account.received == u64::try_from(MESSAGES * REPLICAS)?,
        "{account:?}"
    );

    let mut readers = JoinSet::new();
    for _ in 0..REPLICAS {
        readers.spawn(read_and_commit(
            queue_in(&scene.redis)?,
            scene.identity.clone(),
        ));
    }
    while let Some(done) = readers.join_next().await {
        done??;
    }
    scene.expect_each_once(MESSAGES).await?;
    Ok(())
}
