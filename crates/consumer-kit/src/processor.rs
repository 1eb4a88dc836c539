//! The part of a consumer that is its user's.

use std::{error::Error, panic::AssertUnwindSafe, sync::Arc, time::SystemTime};

use futures_util::FutureExt;
use protocol::{Additions, ConsumerId, Message, ProcessedMessage};
use tokio::sync::Semaphore;

/// Whatever went wrong in a [`Processor`]; any error converts into it with `?`.
pub type ProcessError = Box<dyn Error + Send + Sync>;

/// Turns a message into what it adds to it.
///
/// A message may be processed more than once, when the first attempt took too long or its answer was
/// lost. What a processor does outside of its return value should bear that (be idempotent).
pub trait Processor: Send + Sync + 'static {
    /// Processes one message; write it as `async fn`. Many may run at once.
    ///
    /// # Errors
    /// An error, or a panic, is this consumer's failure: the group tries the message elsewhere.
    fn process(
        &self,
        message: &Message,
    ) -> impl Future<Output = Result<Additions, ProcessError>> + Send;
}

/// A processor with its limit on how many messages it is given at once.
#[derive(Debug)]
pub(crate) struct Processing<P> {
    processor: P,
    permits: Arc<Semaphore>,
    consumer_id: ConsumerId,
}

impl<P: Processor> Processing<P> {
    /// `concurrency` 0 means no limit.
    pub(crate) fn new(processor: P, concurrency: u32, consumer_id: ConsumerId) -> Self {
        let permits = match usize::try_from(concurrency) {
            Ok(0) | Err(_) => Semaphore::MAX_PERMITS,
            Ok(limit) => limit.min(Semaphore::MAX_PERMITS),
        };
        Self {
            processor,
            permits: Arc::new(Semaphore::new(permits)),
            consumer_id,
        }
    }

    /// Processes a message when it is its turn.
    pub(crate) async fn run(&self, message: Message) -> Result<ProcessedMessage, ProcessError> {
        let _permit = self.permits.acquire().await?;
        let attempt = AssertUnwindSafe(self.processor.process(&message))
            .catch_unwind()
            .await;
        let additions = attempt.unwrap_or_else(|_| Err("the processor panicked".into()))?;
        Ok(ProcessedMessage {
            message,
            additions,
            consumer_id: self.consumer_id.clone(),
            processed_at: SystemTime::now(),
        })
    }
}
