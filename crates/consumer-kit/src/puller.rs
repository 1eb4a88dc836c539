//! Takes messages from the durable queue itself, without the group in between.

use std::{sync::Arc, time::Duration};

use protocol::{DeadLetter, DeadLetterReason, Message, dead_letter::Excerpt};
use redis_bus::{
    BusError,
    dead_letters::{Burial, FailedStream},
    queue::{DurableQueue, EntryId, Keeper, QueueEntry, QueueReader, Receipt},
};
use service_kit::{
    backoff::{Backoff, wait_after},
    occasionally::Occasionally,
    supervisor::Role,
    telemetry::chain,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::sleep,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::{
    http::Admission,
    processing::Processing,
    processor::{ProcessError, Processor},
    sink::{CommitError, SinkHandle},
    spans,
};

/// How many messages are held at once without a limit on processing…
const HELD: u32 = 1024;

/// …and, with one, how many times the limit: so many wait while as many are processed.
const HELD_PER_PROCESSED: u32 = 2;

/// How much room there should be before reading, so that many come at once.
const READ_AT_LEAST: u32 = 64;

/// The wait before a message that failed is handed out again is drawn from zero to this, doubling with
/// each delivery…
const BASE_WAIT: Duration = Duration::from_millis(50);

/// …up to this.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// How often a failure that lasts is logged.
const WARN_EVERY: Duration = Duration::from_secs(10);

/// The role that reads the durable queue, has messages processed, and sees each to its end.
#[derive(Debug)]
pub(crate) struct Puller<P> {
    reader: QueueReader,
    keeper: Keeper,
    admission: Admission,
    permits: Arc<Semaphore>,
    held: u32,
    work: Arc<Work<P>>,
}

/// What a message needs on its way.
#[derive(Debug)]
pub(crate) struct Work<P> {
    pub(crate) processing: Processing<P>,
    pub(crate) sink: SinkHandle,
    pub(crate) queue: DurableQueue,
    pub(crate) failed: FailedStream,
    pub(crate) max_deliveries: u64,
    pub(crate) failures: Occasionally,
    given_up: Occasionally,
}

impl<P: Processor> Work<P> {
    pub(crate) fn new(
        processing: Processing<P>,
        sink: SinkHandle,
        queue: DurableQueue,
        failed: FailedStream,
        max_deliveries: u64,
    ) -> Self {
        Self {
            processing,
            sink,
            queue,
            failed,
            max_deliveries,
            failures: Occasionally::every(WARN_EVERY),
            given_up: Occasionally::every(WARN_EVERY),
        }
    }
}

impl<P: Processor> Puller<P> {
    /// `concurrency` is how many messages are processed at once; 0 for no limit.
    pub(crate) fn new(
        reader: QueueReader,
        admission: Admission,
        work: Work<P>,
        concurrency: u32,
    ) -> Self {
        let held = match concurrency {
            0 => HELD,
            limit => limit.saturating_mul(HELD_PER_PROCESSED).min(HELD),
        };
        Self {
            keeper: reader.keeper(),
            reader,
            admission,
            permits: Arc::new(Semaphore::new(usize::try_from(held).unwrap_or(1))),
            held,
            work: Arc::new(work),
        }
    }

    /// Reads until cancelled, no more than there is room for.
    async fn read(&mut self, cancelled: &CancellationToken) {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
        let at_least = READ_AT_LEAST.min(self.held);
        while !cancelled.is_cancelled() {
            let permits = Arc::clone(&self.permits);
            let room = tokio::select! {
                room = permits.acquire_many_owned(at_least) => room,
                () = cancelled.cancelled() => return,
            };
            // The semaphore is never closed.
            let Ok(mut room) = room else { return };
            let more = self.permits.available_permits();
            if let Ok(more) = u32::try_from(more)
                && let Ok(more) = Arc::clone(&self.permits).try_acquire_many_owned(more)
            {
                room.merge(more);
            }
            match self.reader.next(room.num_permits()).await {
                Ok(entries) => {
                    backoff.reset();
                    for (entry, receipt) in entries {
                        let Some(permit) = room.split(1) else { return };
                        self.begin(entry, receipt, permit);
                    }
                }
                Err(cause) => {
                    self.work.complain(&cause, "cannot read the durable queue");
                    drop(room);
                    tokio::select! {
                        () = sleep(backoff.next_wait()) => {}
                        () = cancelled.cancelled() => {}
                    }
                }
            }
        }
    }

    /// Starts to see a message to its end. It is kept alive for as long.
    fn begin(&self, entry: QueueEntry, receipt: Receipt, permit: OwnedSemaphorePermit) {
        let work = Arc::clone(&self.work);
        let reader = self.reader.name().to_owned();
        self.admission.spawn(async move {
            let _timed = work.processing.meters().work_seconds.start_timer();
            work.see_through(entry, receipt, &reader).await;
            drop(permit);
        });
    }
}

impl<P: Processor> Role for Puller<P> {
    /// After cancellation it finishes what it was handed.
    async fn run(&mut self, cancelled: CancellationToken) {
        let keeper = self.keeper.clone();
        let work = async {
            self.read(&cancelled).await;
            self.admission.close().await;
        };
        tokio::select! {
            () = work => {}
            () = keeper.keep() => {}
        }
    }
}

/// Why a message was not processed.
enum Failure {
    /// It never will be.
    Rejected(String),
    /// Another time, or elsewhere, it may be.
    Failed(ProcessError),
}

impl<P: Processor> Work<P> {
    /// Processes a message and commits it, or has it handed out again, or buries it.
    async fn see_through(&self, entry: QueueEntry, receipt: Receipt, reader: &str) {
        let QueueEntry {
            id,
            payload,
            deliveries,
        } = entry;
        let message = match Message::parse(payload.clone()) {
            Ok(message) => message,
            Err(error) => {
                let letter = DeadLetter::unfit(Excerpt::of(&payload), &error);
                return self.bury(&letter, &id).await;
            }
        };
        let attempts = u32::try_from(deliveries).unwrap_or(u32::MAX);
        let letter = |reason, error: &str| DeadLetter::new(&message, reason, attempts, error);
        if deliveries > self.max_deliveries {
            let error = "whoever it was handed to did not finish";
            let letter = letter(DeadLetterReason::DeliveriesExhausted, error);
            return self.bury(&letter, &id).await;
        }
        let span = self.processing.span(&message, None);
        let Err(failure) = self.process(message.clone(), &id).await else {
            return;
        };
        match failure {
            Failure::Rejected(error) => {
                spans::fail(span, &error);
                self.bury(&letter(DeadLetterReason::Rejected, &error), &id)
                    .await;
            }
            Failure::Failed(error) => {
                let error = chain(&*error);
                spans::fail(span, &error);
                debug!(message.id = %message.id(), deliveries, error, "an attempt failed");
                if deliveries >= self.max_deliveries {
                    let letter = letter(DeadLetterReason::AttemptsExhausted, &error);
                    return self.bury(&letter, &id).await;
                }
                // No longer ours, so that this consumer, too, may be handed it again.
                drop(receipt);
                let wait = wait_after(BASE_WAIT, LONGEST_WAIT, attempts.saturating_sub(1));
                let given = self
                    .queue
                    .give_back(reader, &[(id, deliveries)], wait)
                    .await;
                if let Err(cause) = given {
                    // It is handed out again all the same, once it has been idle for long enough.
                    self.complain(&cause, "cannot give a message back to the durable queue");
                }
            }
        }
    }

    /// Processes a message and commits it, in the same step in which it leaves the queue.
    async fn process(&self, message: Message, id: &EntryId) -> Result<(), Failure> {
        let processed = self
            .processing
            .run(message)
            .await
            .map_err(Failure::Failed)?;
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
        loop {
            match self.sink.commit_queued(&processed, id).await {
                Ok(added) => {
                    debug!(message.id = %processed.message.id(), ?added, "processed");
                    self.processing.meters().recorded(id.added_at());
                    return Ok(());
                }
                // The work is done: it would be done again if it were given up here.
                Err(CommitError::Bus(cause)) => {
                    self.complain(&cause, "cannot commit");
                    sleep(backoff.next_wait()).await;
                }
                Err(error @ CommitError::TooManyFields { .. }) => {
                    return Err(Failure::Rejected(error.to_string()));
                }
                Err(error) => return Err(Failure::Failed(error.into())),
            }
        }
    }

    /// Writes a dead letter, in the same step in which its message leaves the queue.
    async fn bury(&self, letter: &DeadLetter, id: &EntryId) {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
        let burial = Burial {
            letter,
            queued: Some(id),
        };
        while let Some(Err(cause)) = self.failed.bury(&[burial]).await.pop() {
            self.complain(&cause, "cannot write a dead letter");
            sleep(backoff.next_wait()).await;
        }
        let (reason, cause) = (letter.reason().as_str(), letter.last_error());
        if let Some(held_back) = self.given_up.due() {
            warn!(
                reason,
                cause, held_back, "a message went to the dead letters"
            );
        }
    }

    fn complain(&self, cause: &BusError, what: &str) {
        if let Some(held_back) = self.failures.due() {
            let cause = chain(cause);
            warn!(cause, held_back, "{what}; trying again");
        }
    }
}
