//! Commits processed messages to the stream, many at a time.
//!
//! While batches are on their way to Redis the next gathers, so batches grow under load and are single
//! messages when idle. Nothing waits for company.

use std::{iter::repeat_with, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use protocol::ProcessedMessage;
use redis_bus::{
    Added, BusError,
    commit::{Entry, MAX_FIELDS, ProcessedStream},
    queue::EntryId,
};
use service_kit::supervisor::Role;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    meters::ConsumerMeters,
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
pub enum CommitError {
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
    /// The sink has ended.
    #[error("the sink has ended")]
    Ended,
}

/// What became of entries, in order.
type Results = Vec<Result<Added, BusError>>;

/// Entries that came together, and who waits for what becomes of them.
struct HandOver {
    entries: Vec<Entry>,
    done: oneshot::Sender<Results>,
    room: OwnedSemaphorePermit,
}

/// The way to the [`Sink`].
#[derive(Debug, Clone)]
pub struct SinkHandle {
    sink: mpsc::Sender<HandOver>,
    room: Arc<Semaphore>,
}

impl SinkHandle {
    /// Returns once the message is in the stream, by this call or by an earlier one, and `queued`, where
    /// it came from, is out of the durable queue.
    ///
    /// # Errors
    /// Every variant of [`CommitError`].
    pub async fn commit(
        &self,
        processed: &ProcessedMessage,
        queued: Option<&EntryId>,
    ) -> Result<Added, CommitError> {
        let entry = entry(processed, queued)?;
        let results = self.hand_over(vec![entry]).await;
        let result = results.and_then(|mut results| results.pop());
        Ok(result.ok_or(CommitError::Ended)??)
    }

    /// Returns once each message is in the stream, or why it is not, in order.
    pub async fn commit_batch(
        &self,
        processed: &[ProcessedMessage],
    ) -> Vec<Result<Added, CommitError>> {
        let (entries, places) = take_well(processed.iter().map(|one| entry(one, None)));
        if entries.is_empty() {
            return put_back(places, []);
        }
        let results = self.hand_over(entries).await.into_iter().flatten();
        let results = results.map(|result| result.map_err(CommitError::Bus));
        put_back(
            places,
            results.chain(repeat_with(|| Err(CommitError::Ended))),
        )
    }

    /// What became of each of the entries; `None` when the sink has ended.
    async fn hand_over(&self, entries: Vec<Entry>) -> Option<Results> {
        let (done, committed) = oneshot::channel();
        let count = u32::try_from(entries.len()).unwrap_or(WAITING);
        let room = Arc::clone(&self.room);
        let room = room.acquire_many_owned(count.min(WAITING)).await.ok()?;
        let hand_over = HandOver {
            entries,
            done,
            room,
        };
        self.sink.send(hand_over).await.ok()?;
        committed.await.ok()
    }
}

/// The entry of a processed message.
fn entry(processed: &ProcessedMessage, queued: Option<&EntryId>) -> Result<Entry, CommitError> {
    let fields = processed.fields()?;
    if fields.len() > MAX_FIELDS {
        return Err(CommitError::TooManyFields {
            fields: fields.len(),
        });
    }
    Ok(Entry {
        fields,
        queued: queued.cloned(),
    })
}

/// The role that writes to the stream.
#[derive(Debug)]
pub struct Sink {
    stream: ProcessedStream,
    waiting: mpsc::Receiver<HandOver>,
    meters: ConsumerMeters,
}

impl Sink {
    /// A sink for a stream, and the way to it.
    #[must_use]
    pub fn new(stream: ProcessedStream, meters: ConsumerMeters) -> (SinkHandle, Self) {
        // Each hand-over has room for one message at least, so there are never more of them.
        let most = usize::try_from(WAITING).unwrap_or(usize::MAX);
        let (sink, waiting) = mpsc::channel(most);
        let room = Arc::new(Semaphore::new(most));
        let role = Self {
            stream,
            waiting,
            meters,
        };
        (SinkHandle { sink, room }, role)
    }
}

impl Role for Sink {
    /// After cancellation it commits what still waits, then ends.
    async fn run(&mut self, cancelled: CancellationToken) {
        let Self {
            stream,
            waiting,
            meters,
        } = self;
        let mut under_way = FuturesUnordered::new();
        let (mut is_closed, mut is_empty) = (false, false);
        loop {
            let may_begin = under_way.len() < COMMITS && !is_empty;
            tokio::select! {
                gathered = gather(waiting), if may_begin => match gathered {
                    Some(gathered) => under_way.push(gathered.commit(stream, meters)),
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
    entries: Vec<Entry>,
    waiting: Vec<(usize, oneshot::Sender<Results>)>,
}

/// All that waits, until it is enough for a commit, or the first to come; `None` at the end.
async fn gather(waiting: &mut mpsc::Receiver<HandOver>) -> Option<Gathered> {
    let mut gathered = Gathered::default();
    gathered.add(waiting.recv().await?);
    while gathered.entries.len() < FULL
        && let Ok(hand_over) = waiting.try_recv()
    {
        gathered.add(hand_over);
    }
    Some(gathered)
}

impl Gathered {
    fn add(&mut self, mut hand_over: HandOver) {
        self.waiting.push((hand_over.entries.len(), hand_over.done));
        self.entries.append(&mut hand_over.entries);
        drop(hand_over.room);
    }

    async fn commit(self, stream: &ProcessedStream, meters: &ConsumerMeters) {
        let begun = Instant::now();
        let results = stream.commit(&self.entries).await;
        note(meters, begun.elapsed(), &results);
        let mut results = results.into_iter();
        for (count, done) in self.waiting {
            // Whoever waited may have been cut off meanwhile; the entries stand all the same.
            drop(done.send(results.by_ref().take(count).collect()));
        }
    }
}

/// Counts a commit and what came of it.
fn note(meters: &ConsumerMeters, took: Duration, results: &Results) {
    meters.commit_seconds.observe(took.as_secs_f64());
    let count = u32::try_from(results.len()).unwrap_or(u32::MAX);
    meters.commit_messages.observe(count.into());
    let (mut created, mut duplicate, mut failed) = (0, 0, 0);
    for added in results {
        match added {
            Ok(Added::Created) => created += 1,
            Ok(Added::Duplicate) => duplicate += 1,
            Err(_) => failed += 1,
        }
    }
    meters.processed.inc_by(created);
    meters.duplicate.inc_by(duplicate);
    meters.commit_failures.inc_by(failed);
}

#[cfg(test)]
pub(crate) mod tests;
