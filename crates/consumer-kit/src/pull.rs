//! Takes messages from the queue itself, without the group in between.
//!
//! | module | holds |
//! |---|---|
//! | `room` | how much may be read: no more than can be started |
//! | `batch` | chunks that are worked together, and how far their messages are |
//! | `chunk_worker` | works them to their end |
//! | `attempt` | has one message processed |
//! | `settler` | records what came of it |
//! | `letter` | what is written of what is given up |

mod attempt;
mod batch;
mod chunk_worker;
mod letter;
mod room;
mod settler;

use std::{sync::Arc, time::Duration};

use protocol::position::MAX_MESSAGES;
use redis_bus::chunk_queue::{
    ChunkQueue, ChunkReader, Indices, Leases, QueueError, ReadChunk, Split,
};
use service_kit::{
    backoff::Backoff, log_throttle::LogThrottle, supervisor::Role, telemetry::chain,
};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use self::{batch::Batch, chunk_worker::ChunkWorker, room::Room, settler::Settler};
use crate::{Processor, http::Admission, processing::Processing, sink::SinkHandle};

/// How often a failure that lasts is logged.
const WARN_EVERY: Duration = Duration::from_secs(10);

/// The wait before keys of an older version are looked at again: somebody has to do something about them.
const LOOK_AGAIN: Duration = Duration::from_secs(3);

/// How a consumer pulls.
#[derive(Debug, Clone)]
pub(crate) struct PullSettings {
    /// The name of the worker, with which that of its reader begins.
    pub(crate) worker: String,
    /// How many messages are processed at once; 0 for no limit.
    pub(crate) concurrency: u32,
    /// How often a message is tried.
    pub(crate) max_deliveries: u64,
    /// How long ids are remembered; zero: not at all.
    pub(crate) dedup_window: Duration,
}

/// The role that reads the queue and has each message seen to its end.
#[derive(Debug)]
pub(crate) struct ChunkPuller<P> {
    queue: ChunkQueue,
    reader: ChunkReader,
    admission: Admission,
    room: Arc<Room>,
    worker: Arc<ChunkWorker<P>>,
    failures: LogThrottle,
}

impl<P: Processor> ChunkPuller<P> {
    pub(crate) fn new(
        queue: ChunkQueue,
        processing: Processing<P>,
        sink: SinkHandle,
        admission: Admission,
        settings: PullSettings,
    ) -> Self {
        let PullSettings {
            worker,
            concurrency,
            max_deliveries,
            dedup_window,
        } = settings;
        let reader = ChunkReader::of_worker(queue.clone(), &worker);
        let metrics = processing.metrics().clone();
        let settler = Settler::new(sink, queue.clone(), metrics, dedup_window, max_deliveries);
        let leases = reader.leases().clone();
        let per_turn = if P::WHOLE_BATCHES { MAX_MESSAGES } else { 1 };
        Self {
            queue,
            reader,
            admission,
            room: Arc::new(Room::new(concurrency, per_turn)),
            worker: Arc::new(ChunkWorker::new(processing, settler, leases, concurrency)),
            failures: LogThrottle::every(WARN_EVERY),
        }
    }

    /// The name it reads under.
    pub(crate) fn reader(&self) -> &str {
        self.reader.name()
    }

    /// The chunks it was handed.
    pub(crate) fn leases(&self) -> &Leases {
        self.reader.leases()
    }

    /// Reads until cancelled.
    async fn read(&mut self, cancelled: &CancellationToken) {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
        while !cancelled.is_cancelled() {
            let Err(cause) = self.step(cancelled).await else {
                backoff.reset();
                continue;
            };
            let wait = self.log(&cause).unwrap_or_else(|| backoff.next_wait());
            tokio::select! {
                () = sleep(wait) => {}
                () = cancelled.cancelled() => {}
            }
        }
    }

    /// Reads as much as there is room for, once there is any, and begins to work it.
    async fn step(&mut self, cancelled: &CancellationToken) -> Result<(), QueueError> {
        let room = tokio::select! {
            room = self.room.free(self.reader.round_trip()) => room,
            () = cancelled.cancelled() => return Ok(()),
        };
        let mut chunks = self.reader.next(room).await?;
        self.share(&mut chunks, room).await;
        for chunks in worked_together::<P>(chunks) {
            if let Some(batch) = Batch::new(chunks) {
                self.begin(batch, cancelled);
            }
        }
        Ok(())
    }

    /// Puts back what there is no room for: others may work it now. What comes again is worked as it is.
    async fn share(&self, chunks: &mut [ReadChunk], mut room: usize) {
        let Some(piece) = self.room.piece() else {
            return;
        };
        for chunk in chunks {
            let all = Indices::all(chunk.messages.len());
            let unsettled = all & !chunk.settled;
            let most = room.max(piece);
            room = room.saturating_sub(unsettled.len());
            if unsettled.len() <= most || chunk.deliveries > 1 {
                continue;
            }
            let kept: Indices = unsettled.iter().take(most).collect();
            let split = self.queue.split(&chunk.queue, &chunk.lease, kept, piece);
            match split.await {
                // Once it is recorded that all is lost, it is offered again.
                Ok(Split::Unchanged) | Err(QueueError::Another { .. }) => {}
                // If it is not known whether it was moved, it is for whoever finds it.
                Ok(Split::Moved(_)) | Err(_) => chunk.settled = all & !kept,
            }
        }
    }

    /// Starts to see the messages of some chunks to their end.
    fn begin(&self, batch: Batch, cancelled: &CancellationToken) {
        let messages = batch.unsettled_len();
        // The task counts as one of the messages.
        let tokens = self.admission.tokens(messages.saturating_sub(1));
        let held = self.room.take(messages, tokens);
        let (worker, stopping) = (Arc::clone(&self.worker), cancelled.clone());
        self.admission
            .spawn(async move { worker.work(batch, held, &stopping).await });
    }

    /// Logs why nothing can be read; answers how long to wait if another try is of no use before.
    fn log(&self, cause: &QueueError) -> Option<Duration> {
        let is_older = matches!(cause, QueueError::Older { .. });
        if let Some(suppressed) = self.failures.due() {
            let cause = chain(cause);
            if is_older {
                error!(cause, suppressed, "cannot read the queue");
            } else {
                warn!(cause, suppressed, "cannot read the queue; trying again");
            }
        }
        is_older.then_some(LOOK_AGAIN)
    }
}

impl<P: Processor> Role for ChunkPuller<P> {
    /// After cancellation it finishes what is begun and gives back the rest.
    async fn run(&mut self, cancelled: CancellationToken) {
        let leases = self.reader.leases().clone();
        let work = async {
            self.read(&cancelled).await;
            self.admission.close().await;
        };
        tokio::select! {
            () = work => {}
            () = leases.keep() => {}
        }
    }
}

/// Chunks as they are worked: each by itself, or, where batches are processed whole, as many together as make one.
/// What comes again is worked by itself.
fn worked_together<P: Processor>(chunks: Vec<ReadChunk>) -> Vec<Vec<ReadChunk>> {
    let mut batches: Vec<Vec<ReadChunk>> = Vec::new();
    let (mut messages, mut is_open) = (0, false);
    for chunk in chunks {
        let is_new = P::WHOLE_BATCHES && chunk.deliveries == 1;
        messages += chunk.messages.len();
        match batches.last_mut() {
            Some(batch) if is_open && is_new && messages <= MAX_MESSAGES => batch.push(chunk),
            _ => {
                messages = chunk.messages.len();
                batches.push(vec![chunk]);
            }
        }
        is_open = is_new;
    }
    batches
}
