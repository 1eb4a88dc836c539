//! What a consumer's answer says of the messages it was given.

use std::time::Duration;

use hyper::StatusCode;
use protocol::http::{BatchAnswer, MessageResult, ProcessingResult};
use serde::Deserialize;

use crate::{delivery::Outcome, lane::Answer};

/// How much of an error answer goes into `last_error`, in bytes.
const SHOWN_ANSWER_BYTES: usize = 200;

/// How long a busy consumer is left alone when it does not say.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(1);

/// What a request came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcomes {
    /// The same for every message it carried.
    All(Outcome),
    /// One for each message, in order.
    Each(Vec<Outcome>),
    /// The consumer would not look at a batch; it may take the messages one by one.
    NoBatches(StatusCode),
}

/// What the answer to one message says.
pub(super) fn of_message(answer: &Answer) -> Outcome {
    let result = || {
        #[derive(Deserialize)]
        struct Said {
            result: ProcessingResult,
        }
        // Any other answer is its own.
        let said: Said = serde_json::from_slice(&answer.body).ok()?;
        Some(said.result)
    };
    outcome(answer.status, answer.retry_after, result, || {
        shown(&answer.body)
    })
}

/// What the answer to `count` messages says. A status of the whole that would be a message's fault says
/// nothing of any single one.
pub(super) fn of_batch(answer: &Answer, count: usize) -> Outcomes {
    if answer.status.is_success() {
        return match serde_json::from_slice(&answer.body) {
            Ok(BatchAnswer::AllProcessed { processed }) if processed == count => {
                Outcomes::All(Outcome::Delivered)
            }
            Ok(BatchAnswer::Each { results }) if results.len() == count => {
                Outcomes::Each(results.iter().map(of_result).collect())
            }
            _ => Outcomes::All(Outcome::Failed(format!(
                "the consumer did not say what became of each of {count} messages: {}",
                shown(&answer.body)
            ))),
        };
    }
    match of_message(answer) {
        Outcome::Rejected(_) => Outcomes::NoBatches(answer.status),
        outcome => Outcomes::All(outcome),
    }
}

fn of_result(result: &MessageResult) -> Outcome {
    let Ok(status) = StatusCode::from_u16(result.status) else {
        let status = result.status;
        return Outcome::Failed(format!("the consumer gave a message the status {status}"));
    };
    let retry_after = result.retry_after.map(Duration::from_secs);
    outcome(
        status,
        retry_after,
        || result.result,
        || shown(result.error.as_deref().unwrap_or_default().as_bytes()),
    )
}

/// Whose fault a status says it is.
fn outcome(
    status: StatusCode,
    retry_after: Option<Duration>,
    result: impl FnOnce() -> Option<ProcessingResult>,
    said: impl FnOnce() -> String,
) -> Outcome {
    let describe = || format!("the consumer answered {status}: {}", said());
    match status.as_u16() {
        200..=299 => match result() {
            Some(ProcessingResult::Duplicate) => Outcome::Duplicate,
            None => Outcome::Delivered,
        },
        400 | 404 | 405 | 413 | 415 | 422 => Outcome::Rejected(describe()),
        429 | 503 => Outcome::Busy(retry_after.unwrap_or(DEFAULT_RETRY_AFTER)),
        // So a consumer says that neither it nor the message is at fault, such as when Redis, where
        // it stores what it processed, does not take it.
        500..=599 if let Some(wait) = retry_after => Outcome::Busy(wait),
        _ => Outcome::Failed(describe()),
    }
}

fn shown(text: &[u8]) -> String {
    String::from_utf8_lossy(&text[..text.len().min(SHOWN_ANSWER_BYTES)]).into_owned()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn answer(status: u16, body: &[u8]) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            retry_after: None,
            body: Bytes::copy_from_slice(body),
        }
    }

    fn message(status: u16, body: &[u8]) -> Outcome {
        of_message(&answer(status, body))
    }

    fn batch(status: u16, body: &str) -> Outcomes {
        of_batch(&answer(status, body.as_bytes()), 3)
    }

    #[test]
    fn the_status_says_whose_fault_it_is() {
        for status in [200, 201, 204] {
            assert_eq!(message(status, b"why"), Outcome::Delivered, "{status}");
        }
        for status in [400, 404, 405, 413, 415, 422] {
            let outcome = message(status, b"why");
            assert!(matches!(outcome, Outcome::Rejected(_)), "{status}");
            assert!(matches!(batch(status, ""), Outcomes::NoBatches(_)));
        }
        for status in [301, 401, 403, 408, 409, 500, 502, 504] {
            let outcome = message(status, b"why");
            assert!(matches!(outcome, Outcome::Failed(_)), "{status}");
            assert!(matches!(
                batch(status, ""),
                Outcomes::All(Outcome::Failed(_))
            ));
        }
        for status in [429, 503] {
            let busy = Outcome::Busy(DEFAULT_RETRY_AFTER);
            assert_eq!(message(status, b"why"), busy, "{status}");
            assert_eq!(batch(status, ""), Outcomes::All(busy), "{status}");
        }
    }

    #[test]
    fn a_failure_that_asks_to_come_again_later_is_a_busy_consumer() {
        let wait = Duration::from_secs(7);
        let answer = Answer {
            retry_after: Some(wait),
            ..answer(500, b"")
        };
        assert_eq!(of_message(&answer), Outcome::Busy(wait));
        assert_eq!(of_batch(&answer, 3), Outcomes::All(Outcome::Busy(wait)));
    }

    #[test]
    fn a_duplicate_is_one_only_when_the_consumer_says_so() {
        let duplicate = br#"{"result":"duplicate"}"#;
        assert_eq!(message(200, duplicate), Outcome::Duplicate);
        for said in [&b"duplicate"[..], b"{}", br#"{"result":"created"}"#, b"[1]"] {
            assert_eq!(message(200, said), Outcome::Delivered);
        }
        assert!(matches!(message(500, duplicate), Outcome::Failed(_)));
    }

    #[test]
    fn each_message_of_a_batch_has_an_outcome_of_its_own() {
        assert_eq!(
            batch(200, r#"{"processed":3}"#),
            Outcomes::All(Outcome::Delivered)
        );
        let mixed = r#"{"results":[{"status":200,"result":"duplicate"},
            {"status":500,"error":"no","retry_after":2},{"status":422,"error":"bad"}]}"#;
        let rejected = "the consumer answered 422 Unprocessable Entity: bad".to_owned();
        let expected = vec![
            Outcome::Duplicate,
            Outcome::Busy(Duration::from_secs(2)),
            Outcome::Rejected(rejected),
        ];
        assert_eq!(batch(200, mixed), Outcomes::Each(expected));
    }

    #[test]
    fn a_batch_whose_answer_leaves_messages_out_has_failed() {
        for said in [
            "",
            "OK",
            "{}",
            r#"{"processed":2}"#,
            r#"{"results":[{"status":200}]}"#,
            r#"{"results":[{"status":200},{"status":200},{"status":200},{"status":200}]}"#,
        ] {
            let outcomes = batch(200, said);
            assert!(
                matches!(outcomes, Outcomes::All(Outcome::Failed(_))),
                "{said}"
            );
        }
        let odd = r#"{"results":[{"status":200},{"status":99},{"status":200}]}"#;
        let Outcomes::Each(outcomes) = batch(200, odd) else {
            panic!("not each");
        };
        assert!(matches!(outcomes[1], Outcome::Failed(_)));
    }

    #[test]
    fn a_long_answer_is_not_shown_whole() {
        let outcome = message(500, &[b'x'; 10_000]);
        assert!(outcome.describe().len() < 300);
    }
}
