//! Records what became of messages, each where it stands, however long Redis is away.

use std::time::Duration;

use protocol::{DeadLetter, Message, MessageId, ProcessedMessage, QueueIdentity};
use redis_bus::{
    Added,
    chunk_queue::{ChunkQueue, QueueError, Settlement},
};
use service_kit::{backoff::Backoff, log_throttle::LogThrottle, spans::Span, telemetry::chain};
use tokio::time::sleep;
use tracing::{debug, warn};

use super::{
    attempt::{Attempt, Failure},
    batch::{Ending, Item},
    letter,
};
use crate::{
    metrics::ConsumerMetrics,
    sink::{CommitError, SinkHandle},
    spans,
};

/// How often a failure that lasts is logged.
const WARN_EVERY: Duration = Duration::from_secs(10);

/// The way of outcomes to Redis.
#[derive(Debug)]
pub(super) struct Settler {
    sink: SinkHandle,
    queue: ChunkQueue,
    dedup_window: Duration,
    max_deliveries: u64,
    metrics: ConsumerMetrics,
    failures: LogThrottle,
    given_up: LogThrottle,
}

/// Why a processed message was not committed.
#[derive(Debug)]
enum NotCommitted {
    Failure(Failure),
    /// The queue has lost its chunk.
    Lost,
    /// The sink has ended.
    Ended,
}

/// A processed message.
#[derive(Debug)]
struct Processed {
    item: Item,
    span: Option<Span>,
    message: ProcessedMessage,
}

/// A message that was not processed.
type Failed = (Item, Option<Span>, Failure);

/// The outcomes of messages.
pub(super) type Endings = Vec<(Item, Ending)>;

impl Settler {
    /// A message is tried `max_deliveries` times. Ids are remembered for `dedup_window`; zero: not at all.
    pub(super) fn new(
        sink: SinkHandle,
        queue: ChunkQueue,
        metrics: ConsumerMetrics,
        dedup_window: Duration,
        max_deliveries: u64,
    ) -> Self {
        Self {
            sink,
            queue,
            dedup_window,
            max_deliveries,
            metrics,
            failures: LogThrottle::every(WARN_EVERY),
            given_up: LogThrottle::every(WARN_EVERY),
        }
    }

    /// Records what attempts came to, which were of this delivery; answers what became of each message.
    pub(super) async fn settle(
        &self,
        queue: &QueueIdentity,
        attempts: Vec<Attempt>,
        deliveries: u64,
    ) -> Endings {
        let begun: Vec<_> = attempts.iter().map(|attempt| attempt.begun).collect();
        let mut processed = Vec::with_capacity(attempts.len());
        let mut failed = Vec::new();
        for attempt in attempts {
            let (item, span) = (attempt.item, attempt.span);
            match attempt.result {
                Ok(message) => processed.push(Processed {
                    item,
                    span,
                    message,
                }),
                Err(failure) => failed.push((item, span, failure)),
            }
        }
        let mut endings = self.record(queue, processed, &mut failed).await;
        let mut letters = Vec::new();
        for (item, span, failure) in failed {
            spans::fail(span, &failure.text());
            match letter::after(&item, &failure, deliveries, self.max_deliveries) {
                Some(letter) => letters.push((item, letter)),
                None => endings.push((item, failure.unless_given_up())),
            }
        }
        endings.extend(self.give_up(queue, letters).await);
        for begun in begun {
            let took = begun.elapsed().as_secs_f64();
            self.metrics.work_seconds.observe(took);
        }
        endings
    }

    /// Records what was processed; what cannot be recorded has `failed`.
    async fn record(
        &self,
        queue: &QueueIdentity,
        processed: Vec<Processed>,
        failed: &mut Vec<Failed>,
    ) -> Endings {
        let commits = self.commit(queue, &processed).await;
        let mut endings = Vec::with_capacity(processed.len());
        for (processed, commit) in processed.into_iter().zip(commits) {
            let Processed {
                item,
                span,
                message,
            } = processed;
            let ending = match commit {
                Ok(added) => {
                    debug!(message.id = %message.message.id(), ?added, "processed");
                    let added_at = item.position.chunk().entry().added_at();
                    self.metrics.recorded(added_at);
                    Ending::Settled
                }
                Err(NotCommitted::Lost) => Ending::Lost,
                Err(NotCommitted::Ended) => Ending::Left,
                Err(NotCommitted::Failure(failure)) => {
                    failed.push((item, span, failure));
                    continue;
                }
            };
            endings.push((item, ending));
        }
        endings
    }

    /// Commits processed messages where they stand, until Redis has taken all of them: the work is done, and would
    /// be done again if it were given up here.
    async fn commit(
        &self,
        queue: &QueueIdentity,
        processed: &[Processed],
    ) -> Vec<Result<Added, NotCommitted>> {
        let mut backoff = retry_waits();
        let mut results: Vec<_> = processed.iter().map(|_| None).collect();
        let mut left: Vec<_> = (0..processed.len()).collect();
        while !left.is_empty() {
            let records = left.iter().map(|place| {
                let Processed { item, message, .. } = &processed[*place];
                (message, Some((queue.clone(), item.position)))
            });
            let commits = self.sink.commit_batch(records).await;
            for (place, commit) in left.iter().zip(commits) {
                results[*place] = match commit {
                    Ok(committed) => Some(Ok(committed.added)),
                    Err(error) => self.not_committed(&error).map(Err),
                };
            }
            left.retain(|place| results[*place].is_none());
            if !left.is_empty() {
                sleep(backoff.next_wait()).await;
            }
        }
        results.into_iter().flatten().collect()
    }

    /// Why a message was not committed; `None` if another time it may be.
    fn not_committed(&self, error: &CommitError) -> Option<NotCommitted> {
        match error {
            CommitError::TooManyFields { .. } => {
                Some(NotCommitted::Failure(Failure::Rejected(error.to_string())))
            }
            CommitError::Encode(_) => Some(NotCommitted::Failure(Failure::Failed(chain(error)))),
            CommitError::UnknownPosition | CommitError::Queue(QueueError::Another { .. }) => {
                Some(NotCommitted::Lost)
            }
            CommitError::Ended => Some(NotCommitted::Ended),
            CommitError::Bus(_) | CommitError::Queue(_) => {
                self.warn(error, "cannot record processed messages");
                None
            }
        }
    }

    /// How often a message is tried.
    pub(super) fn max_deliveries(&self) -> u64 {
        self.max_deliveries
    }

    /// Gives up a message that whoever it was handed to did not finish.
    pub(super) async fn give_up_exhausted(
        &self,
        queue: &QueueIdentity,
        item: Item,
        deliveries: u64,
    ) -> Endings {
        let letter = letter::of_unfinished(&item, deliveries);
        self.give_up(queue, vec![(item, letter)]).await
    }

    /// Writes dead letters in place of their messages, until Redis has taken all of them.
    async fn give_up(&self, queue: &QueueIdentity, letters: Vec<(Item, DeadLetter)>) -> Endings {
        let mut backoff = retry_waits();
        let by_position = letters.iter().map(|(item, letter)| (item.position, letter));
        let by_position: Vec<_> = by_position.collect();
        let settlements = loop {
            let settlements = self.queue.give_up(queue, &by_position).await;
            let settlements = settlements.into_iter().map(|settlement| match settlement {
                Err(QueueError::Another { .. }) => Ok(Settlement::Unknown),
                other => other,
            });
            // What one call has written was settled before the next.
            match settlements.collect::<Result<Vec<_>, _>>() {
                Ok(settlements) => break settlements,
                Err(cause) => self.warn(&cause, "cannot write dead letters"),
            }
            sleep(backoff.next_wait()).await;
        };
        let each = letters.into_iter().zip(settlements);
        let endings = each.map(|((item, letter), settlement)| {
            let ending = match settlement {
                Settlement::Settled => {
                    self.log_letter(&letter);
                    Ending::Settled
                }
                Settlement::Before => Ending::Settled,
                Settlement::Unknown => Ending::Lost,
            };
            (item, ending)
        });
        endings.collect()
    }

    fn log_letter(&self, letter: &DeadLetter) {
        let (reason, cause) = (letter.reason().as_str(), letter.last_error());
        if let Some(suppressed) = self.given_up.due() {
            let id = letter.message_id().map(MessageId::as_str);
            warn!(
                message.id = id,
                reason, cause, suppressed, "a message was given up"
            );
        }
    }

    /// Has messages admitted again whose chunk the queue has lost, until Redis has taken all of them.
    pub(super) async fn offer_again(&self, messages: &[Message]) {
        let mut backoff = retry_waits();
        loop {
            match self.queue.offer_again(messages, self.dedup_window).await {
                Ok(admitted) => {
                    let (queue, lost) = (self.queue.key(), messages.len());
                    warn!(
                        queue,
                        lost,
                        admitted,
                        "the queue had lost messages that this consumer was handed, by a failover or because it was \
                         deleted; those that nobody had brought to it since were admitted again"
                    );
                    return;
                }
                Err(cause) => self.warn(&cause, "cannot bring lost messages to the queue again"),
            }
            sleep(backoff.next_wait()).await;
        }
    }

    /// Logs a failure after which there is another try, now and then.
    pub(super) fn warn(&self, cause: &(dyn std::error::Error + 'static), what: &str) {
        if let Some(suppressed) = self.failures.due() {
            let cause = chain(cause);
            warn!(cause, suppressed, "{what}; trying again");
        }
    }
}

fn retry_waits() -> Backoff {
    Backoff::new(Duration::from_millis(50), Duration::from_secs(1))
}
