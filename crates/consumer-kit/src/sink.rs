//! Commits processed messages to the stream, many at a time.
//!
//! While batches are on their way to Redis the next gathers, so batches grow under load and are single
//! messages when idle. Nothing waits for company.

mod recorder;
mod seen_queues;

use std::{iter::repeat_with, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use protocol::ProcessedMessage;
use redis_bus::{
    Added, BusError,
    chunk_queue::QueueError,
    commit::{Entry, MAX_FIELDS},
};
use service_kit::supervisor::Role;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

pub(crate) use self::recorder::{Recorder, Stands};
use self::{recorder::Commit, seen_queues::SeenQueues};
use crate::{
    metrics::ConsumerMetrics,
    places::{put_back, take_well},
};

/// How many messages may wait for the sink; their senders wait beyond that.
const WAITING: u32 = 1024;

/// With so many messages a commit is full, and what else waits is for the next.
const FULL: usize = 512;

/// How many commits are under way at once: while Redis works on one, the other travels.
const COMMITS: usize = 2;

/// Why a processed message was not committed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum CommitError {
    /// The message cannot be written as a flat entry.
    #[error("cannot write the message as an entry")]
    Encode(#[from] serde_json::Error),
    /// The entry would have more fields than one may have.
    #[error("the message would make an entry of {fields} fields, and the most is {MAX_FIELDS}")]
    TooManyFields {
        /// How many it would have.
        fields: usize,
    },
    /// Redis could not be reached or refused. The entry may have been added.
    #[error("cannot add the entry to the stream")]
    Bus(#[from] BusError),
    /// The queue knows nothing of the message's position: it was emptied, or has lost its end.
    /// Nothing was added.
    #[error("the queue knows nothing of this message's position; nothing was recorded")]
    UnknownPosition,
    /// The queue gave an answer of no use.
    #[error("cannot settle the message in the queue")]
    Queue(#[source] QueueError),
    /// The sink has ended.
    #[error("the sink has ended")]
    Ended,
}

/// The outcome of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Committed {
    /// Whether it was added.
    pub(crate) added: Added,
    /// Whether the message's position in the queue is settled with it.
    pub(crate) is_settled: bool,
}

/// The outcomes of entries, in order.
type Results = Vec<Result<Committed, CommitError>>;

/// Entries that came together, and who waits for what becomes of them.
struct HandOver {
    records: Vec<Commit>,
    done: oneshot::Sender<Results>,
    room: OwnedSemaphorePermit,
}

/// The way to the [`Sink`].
#[derive(Debug, Clone)]
pub(crate) struct SinkHandle {
    sink: mpsc::Sender<HandOver>,
    room: Arc<Semaphore>,
    seen_queues: Arc<SeenQueues>,
}

impl SinkHandle {
    /// Looks whether the queue is here that a message stands in, unless that is known, so that it is also known when
    /// the queue is emptied while the message is processed.
    pub(crate) async fn look_for_queue(&self, stands: Option<&Stands>) {
        if let Some((queue, _)) = stands {
            self.seen_queues.look_for(queue).await;
        }
    }

    /// Returns once the message is in the stream, by this call or by an earlier one, and settled where it
    /// stands.
    ///
    /// # Errors
    /// Every variant of [`CommitError`].
    pub(crate) async fn commit(
        &self,
        processed: &ProcessedMessage,
        stands: Option<Stands>,
    ) -> Result<Committed, CommitError> {
        let entry = entry(processed)?;
        self.commit_one(Commit { entry, stands }).await
    }

    async fn commit_one(&self, record: Commit) -> Result<Committed, CommitError> {
        let results = self.hand_over(vec![record]).await;
        let result = results.and_then(|mut results| results.pop());
        result.ok_or(CommitError::Ended)?
    }

    /// Returns once each message is in the stream and settled where it stands, or why it is not, in order.
    pub(crate) async fn commit_batch(
        &self,
        processed: impl IntoIterator<Item = (&ProcessedMessage, Option<Stands>)>,
    ) -> Results {
        let record = |(processed, stands): (&ProcessedMessage, Option<Stands>)| {
            let entry = entry(processed)?;
            Ok(Commit { entry, stands })
        };
        let (records, places) = take_well(processed.into_iter().map(record));
        if records.is_empty() {
            return put_back(places, []);
        }
        let results = self.hand_over(records).await.into_iter().flatten();
        put_back(
            places,
            results.chain(repeat_with(|| Err(CommitError::Ended))),
        )
    }

    /// The outcome of each entry; `None` when the sink has ended.
    async fn hand_over(&self, records: Vec<Commit>) -> Option<Results> {
        let (done, committed) = oneshot::channel();
        let count = u32::try_from(records.len()).unwrap_or(WAITING);
        let room = Arc::clone(&self.room);
        let room = room.acquire_many_owned(count.min(WAITING)).await.ok()?;
        let hand_over = HandOver {
            records,
            done,
            room,
        };
        self.sink.send(hand_over).await.ok()?;
        committed.await.ok()
    }
}

/// The entry of a processed message.
pub(crate) fn entry(processed: &ProcessedMessage) -> Result<Entry, CommitError> {
    let fields = processed.fields()?;
    if fields.len() > MAX_FIELDS {
        return Err(CommitError::TooManyFields {
            fields: fields.len(),
        });
    }
    Ok(Entry { fields })
}

/// The role that writes to the stream.
#[derive(Debug)]
pub(crate) struct Sink {
    recorder: Recorder,
    waiting: mpsc::Receiver<HandOver>,
    metrics: ConsumerMetrics,
}

impl Sink {
    /// A sink, and the way to it.
    #[must_use]
    pub(crate) fn new(recorder: Recorder, metrics: ConsumerMetrics) -> (SinkHandle, Self) {
        // Each hand-over has room for one message at least, so there are never more of them.
        let most = usize::try_from(WAITING).unwrap_or(usize::MAX);
        let (sink, waiting) = mpsc::channel(most);
        let handle = SinkHandle {
            sink,
            room: Arc::new(Semaphore::new(most)),
            seen_queues: Arc::clone(&recorder.seen_queues),
        };
        let role = Self {
            recorder,
            waiting,
            metrics,
        };
        (handle, role)
    }
}

impl Role for Sink {
    /// After cancellation it commits what still waits, then ends.
    async fn run(&mut self, cancelled: CancellationToken) {
        let Self {
            recorder,
            waiting,
            metrics,
        } = self;
        let mut under_way = FuturesUnordered::new();
        let (mut is_closed, mut is_empty) = (false, false);
        loop {
            let may_begin = under_way.len() < COMMITS && !is_empty;
            tokio::select! {
                gathered = gather(waiting), if may_begin => match gathered {
                    Some(gathered) => under_way.push(gathered.commit(recorder, metrics)),
                    None => is_empty = true,
                },
                Some(()) = under_way.next() => {}
                () = cancelled.cancelled(), if !is_closed => {
                    waiting.close();
                    is_closed = true;
                }
                else => return,
            }
        }
    }
}

/// Entries of one commit, and who waits for how many of them.
#[derive(Default)]
struct Gathered {
    records: Vec<Commit>,
    waiting: Vec<(usize, oneshot::Sender<Results>)>,
}

/// All that waits, until it is enough for a commit, or the first to come; `None` at the end.
async fn gather(waiting: &mut mpsc::Receiver<HandOver>) -> Option<Gathered> {
    let mut gathered = Gathered::default();
    gathered.add(waiting.recv().await?);
    while gathered.records.len() < FULL
        && let Ok(hand_over) = waiting.try_recv()
    {
        gathered.add(hand_over);
    }
    Some(gathered)
}

impl Gathered {
    fn add(&mut self, mut hand_over: HandOver) {
        self.waiting.push((hand_over.records.len(), hand_over.done));
        self.records.append(&mut hand_over.records);
        drop(hand_over.room);
    }

    async fn commit(self, recorder: &Recorder, metrics: &ConsumerMetrics) {
        let begun = Instant::now();
        let results = recorder.record(self.records).await;
        note(metrics, begun.elapsed(), &results);
        let mut results = results.into_iter();
        for (count, done) in self.waiting {
            // Whoever waited may have been cut off meanwhile; the entries stand all the same.
            drop(done.send(results.by_ref().take(count).collect()));
        }
    }
}

/// Counts a commit and what came of it.
fn note(metrics: &ConsumerMetrics, took: Duration, results: &Results) {
    metrics.commit_seconds.observe(took.as_secs_f64());
    let count = u32::try_from(results.len()).unwrap_or(u32::MAX);
    metrics.commit_messages.observe(count.into());
    let (mut created, mut duplicate, mut failed) = (0, 0, 0);
    for committed in results {
        match committed.as_ref().map(|committed| committed.added) {
            Ok(Added::Created) => created += 1,
            Ok(Added::Duplicate) => duplicate += 1,
            Err(_) => failed += 1,
        }
    }
    metrics.processed.inc_by(created);
    metrics.duplicate.inc_by(duplicate);
    metrics.commit_failures.inc_by(failed);
}

#[cfg(test)]
pub(crate) mod tests;
