//! Processes messages, as many at once as is set.

use std::{future::poll_fn, panic::AssertUnwindSafe, pin::Pin, task::Poll, time::SystemTime};

use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use protocol::{Additions, ConsumerId, Message, ProcessedMessage, TraceParent};
use service_kit::spans::Span;
use tokio::{
    sync::{AcquireError, Semaphore, SemaphorePermit},
    task::coop::consume_budget,
};

use crate::{ProcessError, Processor, metrics::ConsumerMetrics, spans};

const PANICKED: &str = "the processor panicked";

/// A processor with its limit on how many messages it is given at once.
#[derive(Debug)]
pub(crate) struct Processing<P> {
    processor: P,
    permits: Semaphore,
    consumer_id: ConsumerId,
    metrics: ConsumerMetrics,
}

impl<P: Processor> Processing<P> {
    /// `concurrency` 0 means no limit.
    pub(crate) fn new(
        processor: P,
        concurrency: u32,
        consumer_id: ConsumerId,
        metrics: ConsumerMetrics,
    ) -> Self {
        let permits = match usize::try_from(concurrency) {
            Ok(0) | Err(_) => Semaphore::MAX_PERMITS,
            Ok(limit) => limit.min(Semaphore::MAX_PERMITS),
        };
        Self {
            processor,
            permits: Semaphore::new(permits),
            consumer_id,
            metrics,
        }
    }

    /// What is counted here, and for others to count.
    pub(crate) fn metrics(&self) -> &ConsumerMetrics {
        &self.metrics
    }

    /// Begins the span of a message that came with this sender's header, if any.
    pub(crate) fn span(&self, message: &Message, sender: Option<TraceParent>) -> Option<Span> {
        spans::begin(message, sender, &self.consumer_id)
    }

    /// Processes a message when it is its turn.
    pub(crate) async fn run(&self, message: Message) -> Result<ProcessedMessage, ProcessError> {
        let _turn = self.turn().await?;
        self.run_in_turn(message).await
    }

    /// Processes a message whose turn it is.
    pub(crate) async fn run_in_turn(
        &self,
        message: Message,
    ) -> Result<ProcessedMessage, ProcessError> {
        let additions = attempt(&self.processor, &message).await;
        self.processed(message, additions)
    }

    /// Processes messages that came together; answers for each, in order.
    pub(crate) async fn run_batch(
        &self,
        messages: Vec<Message>,
    ) -> Vec<Result<ProcessedMessage, ProcessError>> {
        if P::WHOLE_BATCHES && !messages.is_empty() {
            let _turn = self.turn().await;
            self.run_whole_in_turn(messages).await
        } else {
            self.run_each(messages).await
        }
    }

    /// Processes each message when it is its turn.
    ///
    /// Most processors are done at once or wait for little. Each message is tried in order, in a place
    /// that the next one takes over when it is done; only those that wait are kept beside each other.
    async fn run_each(
        &self,
        messages: Vec<Message>,
    ) -> Vec<Result<ProcessedMessage, ProcessError>> {
        let mut results = Vec::with_capacity(messages.len());
        let mut waiting = FuturesUnordered::new();
        let mut free = None;
        for message in messages {
            // Work that never waits must not keep others from a thread for a whole batch.
            consume_budget().await;
            let mut attempt = placed(free.take(), self.run(message));
            match poll_fn(|context| Poll::Ready(attempt.as_mut().poll(context))).await {
                Poll::Ready(result) => {
                    results.push(Some(result));
                    free = Some(attempt);
                }
                Poll::Pending => {
                    let place = results.len();
                    waiting.push(attempt.map(move |result| (place, result)));
                    results.push(None);
                }
            }
        }
        while let Some((place, result)) = waiting.next().await {
            results[place] = Some(result);
        }
        results.into_iter().flatten().collect()
    }

    /// Has the processor take all at once, when it is their turn.
    pub(crate) async fn run_whole_in_turn(
        &self,
        messages: Vec<Message>,
    ) -> Vec<Result<ProcessedMessage, ProcessError>> {
        let results = attempt_whole(&self.processor, &messages).await;
        let each = messages.into_iter().zip(results);
        each.map(|(message, additions)| self.processed(message, additions))
            .collect()
    }

    /// Waits for a turn; fails never, as nobody closes the semaphore. What need not wait does not take
    /// part in tokio's budget, which would have it wait all the same, some dozens of messages into a batch.
    pub(crate) async fn turn(&self) -> Result<SemaphorePermit<'_>, AcquireError> {
        match self.permits.try_acquire() {
            Ok(permit) => Ok(permit),
            Err(_) => self.permits.acquire().await,
        }
    }

    /// Counts what was not processed.
    fn processed(
        &self,
        message: Message,
        additions: Result<Additions, ProcessError>,
    ) -> Result<ProcessedMessage, ProcessError> {
        Ok(ProcessedMessage {
            message,
            additions: additions.inspect_err(|error| self.metrics.not_processed(error))?,
            consumer_id: self.consumer_id.clone(),
            processed_at: SystemTime::now(),
        })
    }
}

/// Has the processor take one message.
pub(crate) async fn attempt<P: Processor>(
    processor: &P,
    message: &Message,
) -> Result<Additions, ProcessError> {
    // An async block, so that a panic before the first await is caught as well.
    let attempt = async { processor.process(message).await };
    let attempt = AssertUnwindSafe(attempt).catch_unwind().await;
    attempt.unwrap_or_else(|_| Err(PANICKED.into()))
}

/// Has the processor take all messages together; answers for each, in order.
pub(crate) async fn attempt_whole<P: Processor>(
    processor: &P,
    messages: &[Message],
) -> Vec<Result<Additions, ProcessError>> {
    let attempt = async { processor.process_batch(messages).await };
    let count = messages.len();
    let why = match AssertUnwindSafe(attempt).catch_unwind().await {
        Ok(results) if results.len() == count => return results,
        Ok(results) => {
            let given = results.len();
            format!("the processor gave {given} results for {count} messages")
        }
        Err(_) => PANICKED.to_owned(),
    };
    messages.iter().map(|_| Err(why.as_str().into())).collect()
}

/// A future in a place that another has left, or in a new one.
fn placed<F>(free: Option<Pin<Box<F>>>, future: F) -> Pin<Box<F>> {
    match free {
        Some(mut place) => {
            place.set(future);
            place
        }
        None => Box::pin(future),
    }
}

#[cfg(test)]
mod tests;
