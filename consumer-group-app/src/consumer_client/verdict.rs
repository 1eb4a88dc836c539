//! What a consumer's answer says of the messages it was given.

use std::time::Duration;

use hyper::StatusCode;
use serde_json::value::RawValue;

use super::said::{Said, SaidOfOne};
use crate::{
    delivery::Outcome,
    lane::{Answer, Lost},
    retry_after,
};

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

/// What the answer to one message says. Its status decides; only a success must be whole, because a server
/// may send its head before the work is done.
pub(super) fn of_message(answer: &Answer) -> Outcome {
    if answer.status.is_success() {
        match &answer.lost {
            Some(Lost::Broken(error)) => {
                return Outcome::Failed(format!("the consumer's answer broke off: {error}"));
            }
            Some(Lost::Late) => return Outcome::TimedOut,
            Some(Lost::Head | Lost::Excess) | None => {}
        }
    }
    let is_duplicate = || Said::read(&answer.body).is_duplicate;
    let said = || shown(&answer.body);
    outcome(answer.status, answer.retry_after(), is_duplicate, said)
}

/// What the answer to `count` messages says. A status of the whole that would be a message's fault says
/// nothing of any single one, and neither does one without a readable head.
pub(super) fn of_batch(answer: &Answer, count: usize) -> Outcomes {
    if answer.status.is_success() {
        return match answer.lost {
            Some(Lost::Head) => Outcomes::NoBatches(answer.status),
            Some(Lost::Excess | Lost::Broken(_) | Lost::Late) | None => of_each(answer, count),
        };
    }
    match answer.status.as_u16() {
        400 | 404 | 405 | 413 | 415 | 422 | 501 => Outcomes::NoBatches(answer.status),
        _ => Outcomes::All(of_message(answer)),
    }
}

/// What a success says of each message. What is known of some counts, however the answer ends.
fn of_each(answer: &Answer, count: usize) -> Outcomes {
    let said = Said::read(&answer.body);
    if said.processed == Some(count) {
        return Outcomes::All(Outcome::Delivered);
    }
    let unknown = || match answer.lost {
        Some(Lost::Late) => Outcome::TimedOut,
        Some(Lost::Head | Lost::Excess | Lost::Broken(_)) | None => Outcome::Failed(format!(
            "the consumer did not say what became of each of {count} messages: {}",
            shown(&answer.body)
        )),
    };
    let known = said.results.len();
    // With a wrong number of them none can be told whose it is.
    if known == 0 || known > count || (said.is_whole && known < count) {
        return Outcomes::All(unknown());
    }
    let mut outcomes: Vec<_> = said.results.into_iter().map(of_result).collect();
    outcomes.resize_with(count, unknown);
    Outcomes::Each(outcomes)
}

fn of_result(result: &RawValue) -> Outcome {
    let said = serde_json::from_str::<SaidOfOne>(result.get());
    let Some((status, said)) = said.ok().and_then(|said| Some((said.status()?, said))) else {
        let result = shown(result.get().as_bytes());
        return Outcome::Failed(format!("the consumer gave a message no status: {result}"));
    };
    let wait = retry_after::of_json(&said.retry_after);
    outcome(
        status,
        wait,
        || said.is_duplicate(),
        || shown(said.error().as_bytes()),
    )
}

/// Whose fault a status says it is.
fn outcome(
    status: StatusCode,
    retry_after: Option<Duration>,
    is_duplicate: impl FnOnce() -> bool,
    said: impl FnOnce() -> String,
) -> Outcome {
    let describe = || format!("the consumer answered {status}: {}", said());
    match status.as_u16() {
        200..=299 if is_duplicate() => Outcome::Duplicate,
        200..=299 => Outcome::Delivered,
        400 | 413 | 422 => Outcome::Rejected(describe()),
        429 | 503 => Outcome::Busy(retry_after.unwrap_or(DEFAULT_RETRY_AFTER)),
        // So a consumer says that neither it nor the message is at fault, such as when Redis, where
        // it stores what it processed, does not take it.
        500..=599 if let Some(wait) = retry_after => Outcome::Busy(wait),
        502 | 504 => Outcome::BadGateway(describe()),
        _ => Outcome::Failed(describe()),
    }
}

fn shown(text: &[u8]) -> String {
    String::from_utf8_lossy(&text[..text.len().min(SHOWN_ANSWER_BYTES)]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &[u8]) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: hyper::HeaderMap::new(),
            body: body.to_vec(),
            lost: None,
        }
    }

    fn cut(lost: Lost, body: &str) -> Answer {
        Answer {
            lost: Some(lost),
            ..answer(200, body.as_bytes())
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
        for status in [400, 413, 422] {
            let outcome = message(status, b"why");
            assert!(matches!(outcome, Outcome::Rejected(_)), "{status}");
            assert!(matches!(batch(status, ""), Outcomes::NoBatches(_)));
        }
        for status in [404, 405, 415, 501] {
            let outcome = message(status, b"why");
            assert!(matches!(outcome, Outcome::Failed(_)), "{status}");
            assert!(matches!(batch(status, ""), Outcomes::NoBatches(_)));
        }
        for status in [502, 504] {
            let outcome = message(status, b"why");
            assert!(matches!(outcome, Outcome::BadGateway(_)), "{status}");
            let outcomes = batch(status, "");
            assert!(matches!(outcomes, Outcomes::All(Outcome::BadGateway(_))));
        }
        for status in [301, 401, 403, 408, 409, 500] {
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
        let mut answer = answer(500, b"");
        answer
            .headers
            .insert(hyper::header::RETRY_AFTER, 7_u64.into());
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
    fn a_success_that_is_too_long_or_whose_head_cannot_be_read_is_one() {
        let long = cut(Lost::Excess, r#"{"result":"duplicate","x":"xxxxx"#);
        assert_eq!(of_message(&long), Outcome::Duplicate);
        assert_eq!(of_message(&cut(Lost::Excess, "xxxxx")), Outcome::Delivered);
        assert_eq!(of_message(&cut(Lost::Head, "")), Outcome::Delivered);
        let batch = of_batch(&cut(Lost::Head, ""), 3);
        assert_eq!(batch, Outcomes::NoBatches(StatusCode::OK));
    }

    #[test]
    fn a_success_that_breaks_off_or_is_late_is_none() {
        let broken = Lost::Broken("reset".to_owned());
        assert!(matches!(of_message(&cut(broken, "")), Outcome::Failed(_)));
        assert_eq!(of_message(&cut(Lost::Late, "")), Outcome::TimedOut);
    }

    #[test]
    fn what_is_known_of_a_batch_counts_however_the_answer_ends() {
        let known = r#"{"results":[{"status":200},{"status":200,"result":"duplicate"},"#;
        let broken = Lost::Broken("reset".to_owned());
        for (lost, end) in [
            (Some(broken), r#"{"status":2"#),
            (Some(Lost::Excess), r#"{"status":200,"error":"xxx"#),
            (None, "oh no"),
            (None, r#"{"status":"good"}]}"#),
        ] {
            let answer = Answer {
                lost,
                ..answer(200, format!("{known}{end}").as_bytes())
            };
            let Outcomes::Each(outcomes) = of_batch(&answer, 3) else {
                panic!("not each");
            };
            assert_eq!(outcomes[..2], [Outcome::Delivered, Outcome::Duplicate]);
            assert!(matches!(outcomes[2], Outcome::Failed(_)), "{end}");
        }
        let Outcomes::Each(outcomes) = of_batch(&cut(Lost::Late, known), 3) else {
            panic!("not each");
        };
        assert_eq!(outcomes[2], Outcome::TimedOut);
    }

    #[test]
    fn a_long_answer_is_not_shown_whole() {
        let outcome = message(500, &[b'x'; 10_000]);
        assert!(outcome.describe().len() < 300);
    }
}
