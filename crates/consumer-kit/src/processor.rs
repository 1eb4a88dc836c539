//! The part of a consumer that is its user's.

mod error;

use protocol::{Additions, Message};

pub use self::error::{BoxError, ProcessError};

/// Turns a message into what it adds to it.
///
/// A message may be processed more than once, when the first attempt took too long or its answer was
/// lost. What a processor does outside of its return value should bear that (be idempotent).
///
/// [`process`](Self::process) is all that is needed. Where many messages cost little more than one, as
/// with one query to a database for all of them, take whole batches:
///
/// ```
/// use consumer_kit::{Additions, Message, ProcessError, Processor};
///
/// struct Stock;
///
/// impl Stock {
///     /// How many there are of each article, in order.
///     async fn look_up(&self, articles: &[&str]) -> Result<Vec<u32>, ProcessError> {
///         Ok(vec![7; articles.len()]) // SELECT … WHERE article IN (…)
///     }
/// }
///
/// impl Processor for Stock {
///     const WHOLE_BATCHES: bool = true;
///
///     async fn process(&self, message: &Message) -> Result<Additions, ProcessError> {
///         let counts = self.look_up(&[message.id().as_str()]).await?;
///         let count = counts.first().ok_or("no such article")?;
///         Ok(Additions::from([("stock".to_owned(), count.to_string())]))
///     }
///
///     async fn process_batch(&self, messages: &[Message]) -> Vec<Result<Additions, ProcessError>> {
///         let ids: Vec<_> = messages.iter().map(|message| message.id().as_str()).collect();
///         match self.look_up(&ids).await {
///             Ok(counts) => counts
///                 .iter()
///                 .map(|count| Ok(Additions::from([("stock".to_owned(), count.to_string())])))
///                 .collect(),
///             Err(cause) => ids.iter().map(|_| Err(cause.to_string().into())).collect(),
///         }
///     }
/// }
/// ```
pub trait Processor: Send + Sync + 'static {
    /// Whether messages that come in a batch go to [`process_batch`](Self::process_batch) together,
    /// instead of each to [`process`](Self::process).
    const WHOLE_BATCHES: bool = false;

    /// Processes one message; write it as `async fn`. Many may run at once.
    ///
    /// # Errors
    /// [`ProcessError`] says what becomes of the message; a panic is a failure.
    fn process(
        &self,
        message: &Message,
    ) -> impl Future<Output = Result<Additions, ProcessError>> + Send;

    /// Processes messages that came together, with [`WHOLE_BATCHES`](Self::WHOLE_BATCHES); one by one
    /// unless you write it, as `async fn`. For the limit on how many messages are processed at once a
    /// batch counts as one.
    ///
    /// Returns a result for each message, in order. With more or fewer results, or after a panic, all
    /// messages of the batch have failed.
    fn process_batch(
        &self,
        messages: &[Message],
    ) -> impl Future<Output = Vec<Result<Additions, ProcessError>>> + Send {
        async move {
            let mut results = Vec::with_capacity(messages.len());
            for message in messages {
                results.push(self.process(message).await);
            }
            results
        }
    }
}
