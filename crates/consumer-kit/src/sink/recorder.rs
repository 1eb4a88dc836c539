//! Records processed messages: by position where they stand in the queue, by id where they come
//! from elsewhere.

use std::{collections::HashMap, sync::Arc, time::Duration};

use protocol::{Position, QueueIdentity};
use redis_bus::{
    Added,
    chunk_queue::{ChunkQueue, QueueError, Settlement},
    commit::{Entry, ProcessedStream},
};
use service_kit::log_throttle::LogThrottle;
use tracing::warn;

use super::{CommitError, Committed, seen_queues::SeenQueues};

/// How often it is logged that the queue is elsewhere.
const WARN_EVERY: Duration = Duration::from_secs(10);

/// Where a message stands: as the group says that brought it, or as it was read.
pub(crate) type Stands = (QueueIdentity, Position);

/// An entry, and where its message stands.
#[derive(Debug)]
pub(super) struct Commit {
    pub(super) entry: Entry,
    pub(super) stands: Option<Stands>,
}

/// What writes to the stream of processed messages.
#[derive(Debug)]
pub(crate) struct Recorder {
    pub(crate) stream: ProcessedStream,
    pub(crate) queue: ChunkQueue,
    /// About how many entries the stream keeps; zero: all.
    pub(crate) max_len: u64,
    strays: Strays,
    pub(super) seen_queues: Arc<SeenQueues>,
    elsewhere: LogThrottle,
}

/// What is done with a message that stands in a queue that was never here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Strays {
    /// It is recorded by its id, and whoever brought it settles it.
    Record,
    /// It is refused: it was read from the queue that was here before.
    Refuse,
}

impl Recorder {
    pub(crate) fn new(stream: ProcessedStream, queue: ChunkQueue, max_len: u64) -> Self {
        Self {
            seen_queues: Arc::new(SeenQueues::new(queue.clone())),
            stream,
            queue,
            max_len,
            strays: Strays::Record,
            elsewhere: LogThrottle::every(WARN_EVERY),
        }
    }

    /// The same of a consumer that reads the queue itself: what stands in another is lost, and not recorded.
    pub(crate) fn refusing_strays(self) -> Self {
        let strays = Strays::Refuse;
        Self { strays, ..self }
    }

    /// Adds entries; answers for each what became of it.
    pub(super) async fn record(&self, records: Vec<Commit>) -> Vec<Result<Committed, CommitError>> {
        let mut results: Vec<_> = records.iter().map(|_| None).collect();
        let mut queues: HashMap<&QueueIdentity, Vec<(usize, Position)>> = HashMap::new();
        for (place, record) in records.iter().enumerate() {
            if let Some((queue, position)) = &record.stands {
                queues.entry(queue).or_default().push((place, *position));
            }
        }
        for (queue, places) in queues {
            let entry =
                |(place, position): &(usize, Position)| (*position, &records[*place].entry.fields);
            let entries: Vec<_> = places.iter().map(entry).collect();
            let settlements = self.queue.commit(queue, self.max_len, &entries).await;
            for ((place, _), settlement) in places.into_iter().zip(settlements) {
                results[place] = self.settled(queue, settlement);
            }
        }
        let rest = records.into_iter().zip(&results);
        let rest = rest.filter(|(_, result)| result.is_none());
        let rest: Vec<_> = rest.map(|(record, _)| record.entry).collect();
        let by_id = self.stream.commit(&rest).await.into_iter();
        let mut by_id = by_id.map(|added| {
            let (added, is_settled) = (added?, false);
            Ok(Committed { added, is_settled })
        });
        let results = results.into_iter();
        results
            .filter_map(|result| result.or_else(|| by_id.next()))
            .collect()
    }

    /// What settling a position means for its message; nothing when it stands in another queue than the one
    /// here, and that never was here.
    fn settled(
        &self,
        queue: &QueueIdentity,
        settlement: Result<Settlement, QueueError>,
    ) -> Option<Result<Committed, CommitError>> {
        let is_settled = true;
        if settlement.is_ok() {
            self.seen_queues.note(queue, true);
        }
        let added = match settlement {
            Ok(Settlement::Settled) => Added::Created,
            Ok(Settlement::Before) => Added::Duplicate,
            Ok(Settlement::Unknown) => return Some(Err(CommitError::UnknownPosition)),
            Err(QueueError::Another { .. }) if self.seen_queues.was_here(queue) => {
                return Some(Err(CommitError::UnknownPosition));
            }
            Err(cause @ QueueError::Another { .. }) if self.strays == Strays::Record => {
                if let Some(suppressed) = self.elsewhere.due() {
                    warn!(%cause, suppressed,
                        "the group's queue is not where this consumer records: its messages are recorded by id. Give both \
                         the same Redis and the same --processedStream, if that is not meant");
                }
                return None;
            }
            Err(QueueError::Bus(cause)) => return Some(Err(CommitError::Bus(cause))),
            Err(cause) => return Some(Err(CommitError::Queue(cause))),
        };
        Some(Ok(Committed { added, is_settled }))
    }
}
