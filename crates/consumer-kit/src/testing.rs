//! Tries a [`Processor`] as a worker does, without Redis, sockets or a group.
//!
//! ```
//! use consumer_kit::{Additions, Message, ProcessError, Processor, testing};
//!
//! struct Shout;
//!
//! impl Processor for Shout {
//!     async fn process(&self, message: &Message) -> Result<Additions, ProcessError> {
//!         let shouted = message.id().as_str().to_uppercase();
//!         Ok(Additions::from([("shouted".to_owned(), shouted)]))
//!     }
//! }
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
//! # runtime.block_on(async {
//! let additions = testing::process(&Shout, r#"{"message_id":"a"}"#).await.unwrap();
//! assert_eq!(additions["shouted"], "A");
//!
//! let error = testing::process(&Shout, "no message").await.unwrap_err();
//! assert!(matches!(error, ProcessError::Rejected(_)));
//! # });
//! ```

use std::{fmt::Display, time::SystemTime};

use bytes::Bytes;
use futures_util::future::join_all;
use protocol::{Additions, ConsumerId, Message, ProcessedMessage};

use crate::{
    ProcessError, Processor,
    places::{put_back, take_well},
    processing::{attempt, attempt_whole},
    sink::{CommitError, entry},
};

/// Has a message processed that comes alone, given as JSON: a text, or whatever is shown as one.
///
/// A panic is [`ProcessError::Failed`]. What is no message is [`ProcessError::Rejected`], and so is one that with
/// its additions has too many properties to be recorded.
///
/// # Errors
/// What the processor says, and the above.
pub async fn process<P: Processor>(
    processor: &P,
    message: impl Display,
) -> Result<Additions, ProcessError> {
    let message = parse(&message)?;
    let additions = attempt(processor, &message).await?;
    recordable(message, additions)
}

/// Has messages processed that come together, and answers for each, in order.
///
/// With [`WHOLE_BATCHES`](Processor::WHOLE_BATCHES) [`Processor::process_batch`] gets all that are messages; else
/// each is processed by itself, all at once. The results are those of [`process`].
pub async fn process_batch<P: Processor>(
    processor: &P,
    messages: impl IntoIterator<Item = impl Display>,
) -> Vec<Result<Additions, ProcessError>> {
    let (messages, places) = take_well(messages.into_iter().map(|message| parse(&message)));
    let results = match messages.len() {
        0 => Vec::new(),
        _ if P::WHOLE_BATCHES => attempt_whole(processor, &messages).await,
        _ => join_all(messages.iter().map(|message| attempt(processor, message))).await,
    };
    let each = messages.into_iter().zip(results);
    let results = each.map(|(message, additions)| recordable(message, additions?));
    put_back(places, results)
}

fn parse(message: &impl Display) -> Result<Message, ProcessError> {
    let parsed = Message::parse(Bytes::from(message.to_string()));
    parsed.map_err(|error| ProcessError::Rejected(error.to_string()))
}

/// The additions, if an entry can be made of them.
fn recordable(message: Message, additions: Additions) -> Result<Additions, ProcessError> {
    let processed = ProcessedMessage {
        message,
        additions,
        consumer_id: ConsumerId::new("localhost", 1)?,
        processed_at: SystemTime::now(),
    };
    match entry(&processed) {
        Ok(_) => Ok(processed.additions),
        Err(error @ CommitError::TooManyFields { .. }) => {
            Err(ProcessError::Rejected(error.to_string()))
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use redis_bus::commit::MAX_FIELDS;

    use super::*;

    /// Adds as many properties as the message's id says, or panics.
    struct Generous<const WHOLE: bool>;

    impl<const WHOLE: bool> Processor for Generous<WHOLE> {
        const WHOLE_BATCHES: bool = WHOLE;

        async fn process(&self, message: &Message) -> Result<Additions, ProcessError> {
            let count: usize = message.id().as_str().parse().unwrap();
            Ok((0..count).map(|n| (n.to_string(), String::new())).collect())
        }
    }

    fn message(id: &str) -> String {
        format!(r#"{{"message_id":"{id}"}}"#)
    }

    #[tokio::test]
    async fn what_cannot_be_recorded_is_rejected_as_by_a_worker() {
        // The entry has three more of its own.
        let most = MAX_FIELDS - 3;
        let process = async |count: usize| {
            let message = message(&count.to_string());
            process(&Generous::<false>, message).await
        };
        assert_eq!(process(most).await.unwrap().len(), most);
        let error = process(most + 1).await.unwrap_err();
        assert!(matches!(error, ProcessError::Rejected(_)), "{error:?}");
    }

    #[tokio::test]
    async fn a_panic_fails_its_message_or_the_whole_batch() {
        let messages = [message("1"), "no message".to_owned(), message("panic")];
        let shown = |results: Vec<Result<Additions, ProcessError>>| {
            let shown = results.into_iter().map(|result| match result {
                Ok(additions) => additions.len().to_string(),
                Err(ProcessError::Rejected(_)) => "rejected".to_owned(),
                Err(other) => other.to_string(),
            });
            shown.collect::<Vec<_>>()
        };
        let panicked = "the processor panicked";
        let each = process_batch(&Generous::<false>, &messages).await;
        assert_eq!(shown(each), ["1", "rejected", panicked]);
        let whole = process_batch(&Generous::<true>, &messages).await;
        assert_eq!(shown(whole), [panicked, "rejected", panicked]);
        assert!(process_batch(&Generous::<true>, [""; 0]).await.is_empty());
    }
}
