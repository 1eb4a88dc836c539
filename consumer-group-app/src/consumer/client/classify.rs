//! What a consumer's answer says of the messages it was given.

use std::time::Duration;

use hyper::StatusCode;
use protocol::{AnsweredEntry, http::leases::LeaseOutcome, message::MAX_MESSAGE_BYTES};
use redis_bus::commit::MAX_FIELDS;
use serde_json::{Value, value::RawValue};

use super::response_body::{GivenEntry, MessageResult, ResponseBody};
use crate::{
    consumer::{
        connection::{ConsumerResponse, Truncation},
        retry_after,
    },
    delivery::{Outcome, Remaining},
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
pub(super) fn of_message(answer: &ConsumerResponse) -> Outcome {
    if answer.status.is_success() {
        match &answer.lost {
            Some(Truncation::Broken(error)) => {
                return Outcome::Failed(format!("the consumer's answer broke off: {error}"));
            }
            Some(Truncation::Late) => return Outcome::TimedOut,
            Some(Truncation::Head | Truncation::Excess) | None => {}
        }
    }
    let done = || {
        let said = ResponseBody::read(&answer.body);
        done(said.is_duplicate, said.is_settled, said.entry)
    };
    let said = || shown(&answer.body);
    outcome(answer.status, answer.retry_after(), done, said)
}

/// What the answer to `count` messages says. A status of the whole that would be a message's fault says
/// nothing of any single one, and neither does one without a readable head.
pub(super) fn of_batch(answer: &ConsumerResponse, count: usize) -> Outcomes {
    if answer.status.is_success() {
        return match answer.lost {
            Some(Truncation::Head) => Outcomes::NoBatches(answer.status),
            Some(Truncation::Excess | Truncation::Broken(_) | Truncation::Late) | None => {
                of_each(answer, count)
            }
        };
    }
    match answer.status.as_u16() {
        400 | 404 | 405 | 413 | 415 | 422 | 501 => Outcomes::NoBatches(answer.status),
        _ => Outcomes::All(of_message(answer)),
    }
}

/// What a success says of each message. What is known of some counts, however the answer ends.
fn of_each(answer: &ConsumerResponse, count: usize) -> Outcomes {
    let said = ResponseBody::read(&answer.body);
    if said.processed == Some(count) {
        // An entry is that of one message.
        return Outcomes::All(done(false, said.is_settled, GivenEntry::None));
    }
    let unknown = || match answer.lost {
        Some(Truncation::Late) => Outcome::TimedOut,
        Some(Truncation::Head | Truncation::Excess | Truncation::Broken(_)) | None => {
            Outcome::Failed(format!(
                "the consumer did not say what became of each of {count} messages: {}",
                shown(&answer.body)
            ))
        }
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
    let said = serde_json::from_str::<MessageResult<'_>>(result.get());
    let said = said.ok().and_then(|said| of_said(&said));
    said.unwrap_or_else(|| {
        let result = shown(result.get().as_bytes());
        Outcome::Failed(format!("the consumer gave a message no status: {result}"))
    })
}

/// What a worker says of a message that it fetched.
pub(crate) fn of_lease(said: LeaseOutcome<'_>) -> Outcome {
    let said = MessageResult {
        status: said.status,
        result: said.result,
        error: said.error,
        retry_after: said.retry_after,
        settled: Value::Null,
        entry: said.entry,
    };
    let no_status = || Outcome::Failed("the worker gave the message no status".to_owned());
    of_said(&said).unwrap_or_else(no_status)
}

fn of_said(said: &MessageResult<'_>) -> Option<Outcome> {
    let wait = retry_after::of_json(&said.retry_after);
    Some(outcome(
        said.status()?,
        wait,
        || done(said.is_duplicate(), said.is_settled(), said.entry()),
        || shown(said.error().as_bytes()),
    ))
}

/// What a success comes to. Whoever settled a message has recorded it, too.
fn done(is_duplicate: bool, is_settled: bool, entry: GivenEntry<'_>) -> Outcome {
    let remaining = match (is_settled, entry) {
        (true, _) => Remaining::Nothing,
        (false, GivenEntry::Json(json)) if !is_duplicate => match to_record(json) {
            Ok(entry) => Remaining::Record(entry),
            Err(why) => return cannot_record(&why),
        },
        (false, GivenEntry::BrokenOff) if !is_duplicate => {
            return cannot_record("the answer breaks off in it, is too long, or is no JSON");
        }
        (false, _) => Remaining::Settle,
    };
    if is_duplicate {
        Outcome::Duplicate(remaining)
    } else {
        Outcome::Delivered(remaining)
    }
}

/// The entry in an answer, or why it can be none.
fn to_record(json: &RawValue) -> Result<AnsweredEntry, String> {
    let entry = AnsweredEntry::from_json(json).map_err(|cause| cause.to_string())?;
    let fields = entry.len_in_all();
    if json.get().len() > MAX_MESSAGE_BYTES {
        return Err(format!("it is larger than {MAX_MESSAGE_BYTES} bytes"));
    }
    if fields > MAX_FIELDS {
        return Err(format!(
            "it would have {fields} fields, and the most is {MAX_FIELDS}"
        ));
    }
    Ok(entry)
}

fn cannot_record(why: &str) -> Outcome {
    Outcome::Failed(format!(
        "the entry in the consumer's answer cannot be recorded: {why}"
    ))
}

/// Whose fault a status says it is.
fn outcome(
    status: StatusCode,
    retry_after: Option<Duration>,
    done: impl FnOnce() -> Outcome,
    said: impl FnOnce() -> String,
) -> Outcome {
    let describe = || format!("the consumer answered {status}: {}", said());
    match status.as_u16() {
        200..=299 => done(),
        412 => Outcome::UnknownPosition,
        400 | 413 | 422 => Outcome::Rejected(describe()),
        429 | 503 => Outcome::Busy(retry_after.unwrap_or(DEFAULT_RETRY_AFTER)),
        410 => Outcome::Gone,
        500..=599 if let Some(wait) = retry_after => Outcome::Later(wait),
        502 | 504 => Outcome::BadGateway(describe()),
        _ => Outcome::Failed(describe()),
    }
}

fn shown(text: &[u8]) -> String {
    String::from_utf8_lossy(&text[..text.len().min(SHOWN_ANSWER_BYTES)]).into_owned()
}

#[cfg(test)]
mod tests;
