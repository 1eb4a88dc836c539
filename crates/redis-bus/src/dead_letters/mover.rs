//! Moving letters back into the queue.

use std::collections::{HashMap, HashSet};

use protocol::{Message, QueueIdentity, StreamId};

use super::replayer::{ReplayMode, Replayed};
use crate::{
    Fingerprint,
    chunk_queue::{ChunkQueue, QueueError, Replay, ReplayedLetter, fitting},
};

/// A letter whose message can be sent again.
#[derive(Debug, Clone)]
pub(super) struct Movable {
    /// Its id in the stream.
    pub(super) entry: String,
    pub(super) message: Message,
}

/// Moves letters, except those whose id was admitted again since: that message has an outcome of its own, and
/// there must be no second one.
///
/// For that it follows the id log, as replicas do.
#[derive(Debug)]
pub(super) struct Mover {
    queue: ChunkQueue,
    identity: Option<QueueIdentity>,
    read_to: StreamId,
    /// The ids that are asked about.
    asked: HashSet<Fingerprint>,
    /// When they were last admitted, as far as that is remembered: milliseconds by the clock of Redis.
    admitted_at: HashMap<Fingerprint, u64>,
}

impl Mover {
    pub(super) fn new(queue: ChunkQueue, ids: &HashSet<String>) -> Self {
        Self {
            queue,
            identity: None,
            read_to: StreamId::ZERO,
            asked: ids.iter().map(|id| Fingerprint::of(id)).collect(),
            admitted_at: HashMap::new(),
        }
    }

    /// Reads the id log on to its end.
    pub(super) async fn catch_up(&mut self) -> Result<(), QueueError> {
        if self.asked.is_empty() {
            return Ok(());
        }
        loop {
            let page = self.queue.read_log(self.read_to, 0).await?;
            for entry in page.entries {
                let admitted_at = entry.chunk.entry().millis();
                for fingerprint in entry.fingerprints {
                    if self.asked.contains(&fingerprint) {
                        self.admitted_at.insert(fingerprint, admitted_at);
                    }
                }
            }
            self.read_to = page.read_to;
            if page.is_last {
                return Ok(());
            }
        }
    }

    /// Moves letters, in as many steps as there are chunks of them; answers for each what became of it.
    pub(super) async fn replay(
        &mut self,
        letters: &[Movable],
        mode: ReplayMode,
    ) -> Vec<Result<Replayed, QueueError>> {
        let mut results = Vec::with_capacity(letters.len());
        let mut rest = letters;
        while !rest.is_empty() {
            let bodies = rest.iter().map(|letter| letter.message.body());
            let (letters, later) = rest.split_at(fitting(bodies));
            rest = later;
            match self.replay_chunk(letters, mode).await {
                Ok(replayed) => results.extend(replayed.into_iter().map(Ok)),
                Err(cause) => results.extend(letters.iter().map(|_| Err(cause.clone()))),
            }
        }
        results
    }

    async fn replay_chunk(
        &mut self,
        letters: &[Movable],
        mode: ReplayMode,
    ) -> Result<Vec<Replayed>, QueueError> {
        let identity = self.identity().await?;
        loop {
            let mut replayed = vec![Replayed::Admitted; letters.len()];
            let (mut places, mut movable) = (Vec::new(), Vec::new());
            for (place, letter) in letters.iter().enumerate() {
                let fingerprint = Fingerprint::of(letter.message.id().as_str());
                let Ok(entry) = letter.entry.parse::<StreamId>() else {
                    replayed[place] = Replayed::Gone;
                    continue;
                };
                let admitted_at = self.admitted_at.get(&fingerprint);
                if admitted_at.is_none_or(|at| *at <= entry.millis()) {
                    places.push(place);
                    movable.push((entry, fingerprint));
                }
            }
            let (queue, read_to) = (&self.queue, self.read_to);
            let replay = match mode {
                ReplayMode::Real => queue.replay(&identity, read_to, &movable).await?,
                ReplayMode::DryRun => queue.rehearse_replay(&identity, read_to, &movable).await?,
            };
            let Replay::Done(answers) = replay else {
                self.catch_up().await?;
                continue;
            };
            for (place, answer) in places.into_iter().zip(answers) {
                replayed[place] = answer.into();
            }
            return Ok(replayed);
        }
    }

    async fn identity(&mut self) -> Result<QueueIdentity, QueueError> {
        if self.identity.is_none() {
            self.identity = self.queue.identity().await?;
        }
        self.identity.clone().ok_or_else(|| QueueError::Another {
            key: self.queue.key().to_owned(),
        })
    }
}

impl From<ReplayedLetter> for Replayed {
    fn from(letter: ReplayedLetter) -> Self {
        match letter {
            ReplayedLetter::Moved => Self::Sent,
            ReplayedLetter::Gone => Self::Gone,
            ReplayedLetter::Admitted => Self::Admitted,
        }
    }
}
