//! Commits processed messages to the stream, many at a time.
//!
//! While one batch is on its way to Redis the next gathers, so batches grow under load and are single
//! messages when idle. Nothing waits for company.

use protocol::ProcessedMessage;
use redis_bus::{
    Added, BusError,
    commit::{Entry, MAX_FIELDS, ProcessedStream},
    queue::EntryId,
};
use service_kit::{batches::next_batch, supervisor::Role};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// How many messages may wait for the sink; their senders wait beyond that.
const WAITING: usize = 1024;

/// The most messages of a batch.
const BATCH: usize = 512;

/// Why a processed message was not committed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// The message cannot be written as a flat entry.
    #[error("cannot write the message as an entry")]
    Encode(#[from] serde_json::Error),
    /// The entry would have more fields than one may have.
    #[error("the message has more properties than an entry may have fields ({MAX_FIELDS})")]
    TooManyFields,
    /// Redis could not be reached or refused. The entry may have been added.
    #[error("cannot add the entry to the stream")]
    Bus(#[from] BusError),
    /// The sink has ended.
    #[error("the sink has ended")]
    Ended,
}

struct Waiting {
    entry: Entry,
    done: oneshot::Sender<Result<Added, BusError>>,
}

/// The way to the [`Sink`].
#[derive(Debug, Clone)]
pub struct SinkHandle(mpsc::Sender<Waiting>);

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
        let (done, committed) = oneshot::channel();
        let entry = entry(processed, queued)?;
        let waiting = Waiting { entry, done };
        self.0.send(waiting).await.or(Err(CommitError::Ended))?;
        Ok(committed.await.or(Err(CommitError::Ended))??)
    }
}

/// The entry of a processed message.
fn entry(processed: &ProcessedMessage, queued: Option<&EntryId>) -> Result<Entry, CommitError> {
    let fields = processed.fields()?;
    if fields.len() > MAX_FIELDS {
        return Err(CommitError::TooManyFields);
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
    waiting: mpsc::Receiver<Waiting>,
}

impl Sink {
    /// A sink for a stream, and the way to it.
    #[must_use]
    pub fn new(stream: ProcessedStream) -> (SinkHandle, Self) {
        let (handle, waiting) = mpsc::channel(WAITING);
        (SinkHandle(handle), Self { stream, waiting })
    }

    async fn commit(&self, batch: Vec<Waiting>) {
        let (entries, waiting): (Vec<_>, Vec<_>) = batch
            .into_iter()
            .map(|waiting| (waiting.entry, waiting.done))
            .unzip();
        let results = self.stream.commit(&entries).await;
        for (done, result) in waiting.into_iter().zip(results) {
            // Whoever waited may have been cut off meanwhile; the entry stands all the same.
            drop(done.send(result));
        }
    }
}

impl Role for Sink {
    /// After cancellation it commits what still waits, then ends.
    async fn run(&mut self, cancelled: CancellationToken) {
        loop {
            let batch = next_batch(&mut self.waiting, BATCH, &cancelled).await;
            if batch.is_empty() {
                return;
            }
            self.commit(batch).await;
        }
    }
}
