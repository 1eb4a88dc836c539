//! Admits what was heard to the queue, each id once.

mod offer;
mod publish;

use std::{collections::HashSet, time::Duration};

use redis_bus::{
    Fingerprint,
    chunk_queue::{self, ChunkQueue, MOST_MESSAGES, Offer, QueueError, fitting},
};
use service_kit::{
    backoff::Backoff, log_throttle::LogThrottle, supervisor::Role, telemetry::chain,
};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use self::offer::Offered;
pub(crate) use self::publish::Publish;
use super::{Buffer, Received, id_log::IdLog};
use crate::queue::receiver::ChunkReceiver;

/// How long a count of duplicates may wait for the next offer, which takes it along.
const COUNT_WITHIN: Duration = Duration::from_millis(50);

/// How long the id log goes back at least: from it is read what became of a chunk, also when no id need be
/// remembered.
const SHORTEST_LOG: Duration = Duration::from_secs(60);

/// How often a failure that lasts is logged.
const WARN_EVERY: Duration = Duration::from_secs(10);

/// The role that admits. What Redis does not take stays in the buffer.
///
/// Every replica hears every message, and none decides for the others: an offer says how far its replica has
/// read the id log, and is refused when that is not its end. So a replica that offers an id knows that nobody
/// has admitted it.
#[derive(Debug)]
pub(crate) struct Admission {
    buffer: Buffer,
    publishing: mpsc::Receiver<Publish>,
    queue: ChunkQueue,
    receiver: ChunkReceiver,
    /// For how long an id is remembered; zero: not at all.
    window: Duration,
    log: Option<IdLog>,
    /// The ids of offers that were not answered: whether they were carried out is not known.
    unsure: HashSet<Fingerprint>,
    /// Duplicates that are not counted in Redis yet, and when they are to be.
    duplicates: u64,
    count_at: Option<Instant>,
    failures: LogThrottle,
}

impl Admission {
    pub(crate) fn new(
        buffer: Buffer,
        publishing: mpsc::Receiver<Publish>,
        queue: ChunkQueue,
        receiver: ChunkReceiver,
        window: Duration,
    ) -> Self {
        Self {
            buffer,
            publishing,
            queue,
            receiver,
            window,
            log: None,
            unsure: HashSet::new(),
            duplicates: 0,
            count_at: None,
            failures: LogThrottle::every(WARN_EVERY),
        }
    }

    /// Does the next thing there is to do, or waits for one.
    async fn step(&mut self, cancelled: &CancellationToken) -> Result<(), QueueError> {
        if let Ok(publish) = self.publishing.try_recv() {
            self.publish(publish).await;
        }
        if self.log.is_none() {
            self.log = Some(self.log().await?);
        }
        if !self.buffer.is_empty() {
            return self.admit_buffered().await;
        }
        if self.count_at.is_some_and(|at| at <= Instant::now()) {
            return self.count().await;
        }
        let count_at = self.count_at;
        tokio::select! {
            Some(publish) = self.publishing.recv() => self.publish(publish).await,
            () = self.buffer.arrived() => {}
            () = wait_until(count_at), if count_at.is_some() => {}
            () = cancelled.cancelled() => {}
        }
        Ok(())
    }

    async fn admit_buffered(&mut self) -> Result<(), QueueError> {
        if self.buffer.take_has_lost() {
            let looked = self.look_for_loss().await;
            looked.inspect_err(|_| self.buffer.note_loss())?;
        }
        let mut received = self.buffer.front(MOST_MESSAGES);
        // What is no message needs no consumer, so it has a chunk of its own.
        let mut alike = received.chunk_by(|one, next| one.is_message == next.is_message);
        let alike = alike.next().map_or(0, <[_]>::len);
        received.truncate(alike);
        received.truncate(fitting(received.iter().map(|one| &one.payload)));
        let count = received.len();
        self.admit(&received).await?;
        self.buffer.remove_front(count);
        Ok(())
    }

    /// What stood in the queue is unknown there: it may be another queue, or its log has lost its end.
    async fn look_for_loss(&mut self) -> Result<(), QueueError> {
        let log = self.log().await?;
        let is_current = log.is_current(&self.queue).await;
        if !matches!(is_current, Ok(false)) {
            self.log = Some(log);
        }
        is_current.map(|_| ())
    }

    /// Admits those that are new; answers how many were, and how many not.
    async fn admit(&mut self, received: &[Received]) -> Result<(u64, u64), QueueError> {
        loop {
            let log = self.log().await?;
            let sorted = log.sort(received, &self.unsure);
            let created = sorted.admitted_before + to_u64(sorted.new.len());
            let counts = (created, sorted.duplicates);
            if sorted.new.is_empty() {
                self.log = Some(log);
                self.note_duplicates(sorted.duplicates);
            } else {
                let queue = log.queue.clone();
                match self.offer(log, received, &sorted).await? {
                    Offered::Refused => continue,
                    Offered::Admitted => {}
                    Offered::HandedOut(chunk) => {
                        let received = sorted.keep_new(received);
                        self.receiver.take_appended(&queue, chunk, received).await;
                    }
                }
            }
            for one in received {
                self.unsure.remove(&one.fingerprint);
            }
            return Ok(counts);
        }
    }

    /// What was read of the id log. Whoever takes it puts it back, unless it is of no more use.
    async fn log(&mut self) -> Result<IdLog, QueueError> {
        match self.log.take() {
            Some(log) => Ok(log),
            None => {
                let log = IdLog::read(&self.queue, self.window).await?;
                self.receiver.messages.found(&log.queue);
                Ok(log)
            }
        }
    }

    /// Has duplicates counted with the next offer, or soon.
    fn note_duplicates(&mut self, duplicates: u64) {
        if duplicates > 0 {
            self.duplicates += duplicates;
            self.count_at
                .get_or_insert_with(|| Instant::now() + COUNT_WITHIN);
        }
    }

    /// Counts the duplicates in Redis.
    async fn count(&mut self) -> Result<(), QueueError> {
        let log = self.log().await?;
        let offer = Offer {
            messages: &[],
            fingerprints: &[],
            duplicates: self.duplicates,
            read_to: None,
        };
        let admission = chunk_queue::Admission {
            window: self.window.max(SHORTEST_LOG),
            reader: None,
        };
        let counted = self.queue.offer(&log.queue, &admission, offer).await;
        if !matches!(counted, Err(QueueError::Another { .. })) {
            self.log = Some(log);
        }
        counted?;
        self.duplicates = 0;
        self.count_at = None;
        Ok(())
    }

    fn warn(&self, cause: &QueueError) {
        let is_away = matches!(cause, QueueError::Bus(_));
        if is_away && self.buffer.is_empty() {
            // The listener says so.
            return;
        }
        if let Some(suppressed) = self.failures.due() {
            let (cause, buffered) = (chain(cause), self.buffer.len());
            warn!(
                cause,
                buffered,
                suppressed,
                "cannot bring messages to the queue; they are buffered, trying again"
            );
        }
    }
}

async fn wait_until(at: Option<Instant>) {
    if let Some(at) = at {
        tokio::time::sleep_until(at).await;
    }
}

fn to_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

impl Role for Admission {
    async fn run(&mut self, cancelled: CancellationToken) {
        let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(1));
        // What a run that panicked has left may be half of something.
        self.log = None;
        while !cancelled.is_cancelled() {
            match self.step(&cancelled).await {
                Ok(()) => backoff.reset(),
                Err(cause) => {
                    self.warn(&cause);
                    backoff.wait(&cancelled).await;
                }
            }
        }
        if self.duplicates > 0
            && let Err(cause) = self.count().await
        {
            self.warn(&cause);
        }
    }
}
