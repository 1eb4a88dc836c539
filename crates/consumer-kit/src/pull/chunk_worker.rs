//! Works chunks to their end.
//!
//! A chunk that is handed out for the first time is worked at once, as many messages as the limit on processing
//! allows; what is processed is recorded while the rest goes on. One that comes again may have killed its last
//! worker: it is worked message by message, each settled before the next begins, so that the one that kills is the
//! first that is left, and is found alone. Chunks that were held together died together; so on its last delivery a
//! chunk has none beside it that is on its last, too, or the well would be given up with the one that kills.

use std::{pin::pin, time::Duration};

use futures_util::{
    StreamExt,
    stream::{self, FuturesUnordered},
};
use protocol::retry::longest_wait;
use redis_bus::chunk_queue::Leases;
use service_kit::backoff::jittered;
use tokio::sync::{Semaphore, SemaphorePermit, TryAcquireError};
use tokio_util::sync::CancellationToken;

use super::{
    attempt::{Attempt, attempt, attempt_whole},
    batch::{Batch, HeldChunk},
    room::Occupancy,
    settler::{Endings, Settler},
};
use crate::{Processor, processing::Processing};

/// How many messages of a chunk are recorded together at the most.
const RECORDED_TOGETHER: usize = 512;

/// The wait before a chunk comes again that cannot be worked beside another.
const COME_AGAIN: Duration = Duration::from_secs(1);

/// What works chunks.
#[derive(Debug)]
pub(crate) struct ChunkWorker<P> {
    processing: Processing<P>,
    settler: Settler,
    leases: Leases,
    /// How many messages of one chunk are tried at once.
    concurrency: usize,
    /// Whoever works a chunk on its last delivery has it.
    last_delivery: Semaphore,
}

impl<P: Processor> ChunkWorker<P> {
    /// `concurrency` 0 means no limit.
    pub(super) fn new(
        processing: Processing<P>,
        settler: Settler,
        leases: Leases,
        concurrency: u32,
    ) -> Self {
        let concurrency = match usize::try_from(concurrency) {
            Ok(0) | Err(_) => usize::MAX,
            Ok(limit) => limit,
        };
        Self {
            processing,
            settler,
            leases,
            concurrency,
            last_delivery: Semaphore::new(1),
        }
    }

    /// Works chunks until nothing is left of them that can be done now, and gives back the rest. Once it is
    /// `stopping`, no message is begun.
    pub(super) async fn work(
        &self,
        mut batch: Batch,
        mut held: Occupancy,
        stopping: &CancellationToken,
    ) {
        let enough = stopping.child_token();
        let mut wait = Duration::ZERO;
        if batch.deliveries() > 1 {
            held.take_one_turn();
            match self.alone(&batch) {
                Ok(_alone) => self.work_one_by_one(&mut batch, &mut held, &enough).await,
                Err(_) => wait = COME_AGAIN,
            }
        } else if P::WHOLE_BATCHES {
            self.work_whole(&mut batch, &mut held, &enough).await;
        } else {
            self.work_at_once(&mut batch, &mut held, &enough).await;
        }
        for chunk in batch.into_chunks() {
            self.let_go(chunk, wait).await;
        }
    }

    /// What a chunk on its last delivery needs to be worked; an error if another has it.
    fn alone(&self, batch: &Batch) -> Result<Option<SemaphorePermit<'_>>, TryAcquireError> {
        let is_last = batch.deliveries() >= self.settler.max_deliveries();
        is_last
            .then(|| self.last_delivery.try_acquire())
            .transpose()
    }

    /// Tries all messages, as many at once as is set, and records each when it is processed.
    async fn work_at_once(
        &self,
        batch: &mut Batch,
        held: &mut Occupancy,
        enough: &CancellationToken,
    ) {
        let items = batch.unsettled();
        let concurrency = self.concurrency.min(items.len()).max(1);
        let begun = items.into_iter().take_while(|_| !enough.is_cancelled());
        let attempts = stream::iter(begun)
            .map(|item| attempt(&self.processing, item))
            .buffer_unordered(concurrency)
            .ready_chunks(RECORDED_TOGETHER);
        let mut attempts = pin!(attempts);
        let queue = batch.queue.clone();
        let (mut settling, mut are_all_tried) = (FuturesUnordered::new(), false);
        loop {
            tokio::select! {
                attempted = attempts.next(), if !are_all_tried => match attempted {
                    Some(attempted) => {
                        note_turns(held, &attempted);
                        settling.push(self.settler.settle(&queue, attempted, 1));
                    }
                    None => are_all_tried = true,
                },
                Some(endings) = settling.next() => {
                    note(batch, held, endings);
                    if batch.is_lost() {
                        enough.cancel();
                    }
                }
                else => return,
            }
        }
    }

    /// Has the processor take all messages together.
    async fn work_whole(
        &self,
        batch: &mut Batch,
        held: &mut Occupancy,
        enough: &CancellationToken,
    ) {
        let turn = self.processing.turn().await;
        if enough.is_cancelled() {
            return;
        }
        let attempted = attempt_whole(&self.processing, batch.unsettled()).await;
        drop(turn);
        let took = attempted.first().map(|attempt| attempt.took);
        held.note_turns(1, took.unwrap_or_default());
        let endings = self.settler.settle(&batch.queue, attempted, 1).await;
        note(batch, held, endings);
    }

    /// Tries one message after the other. The first of a chunk that was handed out too often is given up: whoever
    /// had it ended with it.
    async fn work_one_by_one(
        &self,
        batch: &mut Batch,
        held: &mut Occupancy,
        enough: &CancellationToken,
    ) {
        let mut items = batch.unsettled().into_iter();
        let mut deliveries = batch.deliveries();
        if deliveries > self.settler.max_deliveries()
            && let Some(first) = items.next()
        {
            let given_up = self
                .settler
                .give_up_exhausted(&batch.queue, first, deliveries);
            note(batch, held, given_up.await);
            deliveries = self.count_anew(batch).await;
        }
        for item in items {
            if enough.is_cancelled() || batch.is_lost() {
                return;
            }
            let attempted = vec![attempt(&self.processing, item).await];
            let endings = self
                .settler
                .settle(&batch.queue, attempted, deliveries)
                .await;
            note(batch, held, endings);
        }
    }

    /// What is left after what killed its workers has as many attempts as any: else the next worker that ends, for
    /// whatever reason, would take a message with it that is well.
    async fn count_anew(&self, batch: &mut Batch) -> u64 {
        let deliveries = 1;
        for chunk in batch.chunks_mut() {
            chunk.deliveries = deliveries;
            if let Err(cause) = self.leases.recount(&chunk.lease, deliveries).await {
                self.settler
                    .warn(&cause, "cannot have a chunk of the queue counted anew");
            }
        }
        deliveries
    }

    /// Has a chunk admitted again that the queue has lost, or gives it back if it is not settled as a whole: for after
    /// `wait`, and not before what was postponed may come again.
    async fn let_go(&self, chunk: HeldChunk, wait: Duration) {
        if chunk.is_settled() {
            return;
        }
        if chunk.is_lost {
            let messages = chunk.unsettled_messages();
            drop(chunk);
            return self.settler.offer_again(&messages).await;
        }
        let (deliveries, wait) = if chunk.has_failed {
            (chunk.deliveries, jittered(longest_wait(chunk.deliveries)))
        } else {
            // What is left was not tried, or postponed, which is no attempt.
            (chunk.deliveries.saturating_sub(1), wait)
        };
        let wait = wait.max(chunk.postponed);
        let given_back = self.leases.give_back(chunk.lease, deliveries, wait);
        if let Err(cause) = given_back.await {
            // It comes again all the same, once it has been idle for long enough.
            self.settler
                .warn(&cause, "cannot give a chunk back to the queue");
        }
    }
}

/// Takes note of what became of messages.
fn note(batch: &mut Batch, held: &mut Occupancy, endings: Endings) {
    held.note_settled(endings.len());
    for (item, ending) in endings {
        batch.note(&item, ending);
    }
}

/// Takes note of turns that are over.
fn note_turns(held: &mut Occupancy, attempts: &[Attempt]) {
    let took: Duration = attempts.iter().map(|attempt| attempt.took).sum();
    let count = u32::try_from(attempts.len()).unwrap_or(u32::MAX);
    held.note_turns(attempts.len(), took / count.max(1));
}
