//! Why a message was not processed, and what that means for it.

use std::{error::Error, fmt, time::Duration};

use protocol::message::DeserializeError;
use service_kit::telemetry::chain;

/// Any error.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Why a [`Processor`](crate::Processor) did not process a message, which decides what becomes of it.
///
/// With `?` any error, and any text, becomes [`Failed`](Self::Failed); but what
/// [`Message::deserialize`](crate::Message::deserialize) says of a message of another shape becomes
/// [`Rejected`](Self::Rejected), because that message will never have another.
///
/// ```
/// use std::time::Duration;
///
/// use consumer_kit::{Message, ProcessError};
/// use serde::Deserialize;
///
/// #[derive(Deserialize)]
/// struct Order {
///     quantity: u32,
/// }
///
/// fn check(message: &Message, is_open: bool) -> Result<Order, ProcessError> {
///     let order: Order = message.deserialize()?; // Rejected: it is no order.
///     if order.quantity == 0 {
///         return Err(ProcessError::rejected("nothing is ordered"));
///     }
///     if !is_open {
///         return Err(ProcessError::RetryAfter(Duration::from_secs(30)));
///     }
///     std::fs::write("/dev/null", order.quantity.to_string())?; // Failed: another worker may do better.
///     Ok(order)
/// }
/// ```
///
/// It is no [`Error`] itself, so that every error can become one.
#[derive(Debug)]
pub enum ProcessError {
    /// The message is at fault, and no worker will take it: it becomes a dead letter with this reason.
    Rejected(String),
    /// Neither the message nor this worker is at fault: the message is to be tried again after this time, and this
    /// was no attempt. A worker that pulls waits for 15 s at the most.
    RetryAfter(Duration),
    /// This worker, or what it needs, is at fault: the message is tried again, also elsewhere, until it has had all
    /// its attempts. So it is when a processor panics.
    Failed(BoxError),
}

impl ProcessError {
    /// The message is at fault, for this reason.
    #[must_use]
    pub fn rejected(reason: impl Into<String>) -> Self {
        Self::Rejected(reason.into())
    }

    /// This worker failed, for this reason.
    #[must_use]
    pub fn failed(cause: impl Into<BoxError>) -> Self {
        Self::Failed(cause.into())
    }
}

impl<E: Into<BoxError>> From<E> for ProcessError {
    fn from(cause: E) -> Self {
        match cause.into().downcast::<DeserializeError>() {
            Ok(error) => Self::Rejected(error.to_string()),
            Err(cause) => Self::Failed(cause),
        }
    }
}

impl fmt::Display for ProcessError {
    /// In words, a failure with the whole chain of its causes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(reason) => f.write_str(reason),
            Self::RetryAfter(wait) => write!(f, "to be tried again after {wait:?}"),
            Self::Failed(cause) => f.write_str(&chain(&**cause)),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use protocol::Message;

    use super::*;

    fn read(text: &'static str) -> Result<u32, ProcessError> {
        #[derive(serde::Deserialize)]
        struct Order {
            quantity: u32,
        }
        let message = Message::parse(Bytes::from_static(text.as_bytes())).unwrap();
        Ok(message.deserialize::<Order>()?.quantity)
    }

    #[test]
    fn a_message_of_another_shape_is_rejected_with_what_is_wrong() {
        assert_eq!(read(r#"{"message_id":"a","quantity":3}"#).unwrap(), 3);
        let error = read(r#"{"message_id":"a"}"#).unwrap_err();
        assert!(matches!(error, ProcessError::Rejected(_)), "{error:?}");
        assert!(error.to_string().contains("`quantity`"), "{error}");
    }

    #[test]
    fn any_other_error_is_a_failure() {
        let not_json = serde_json::from_str::<u32>("x").unwrap_err();
        let causes = [ProcessError::from("a text"), not_json.into()];
        for error in causes {
            assert!(matches!(error, ProcessError::Failed(_)), "{error:?}");
        }
    }

    #[test]
    fn a_verdict_passes_through_as_it_is() {
        fn outer(verdict: ProcessError) -> Result<(), ProcessError> {
            Err(verdict)?;
            Ok(())
        }
        let again = outer(ProcessError::RetryAfter(Duration::from_secs(2))).unwrap_err();
        assert_eq!(again.to_string(), "to be tried again after 2s");
        let rejected = outer(ProcessError::rejected("no")).unwrap_err();
        assert!(matches!(rejected, ProcessError::Rejected(_)));
    }
}
