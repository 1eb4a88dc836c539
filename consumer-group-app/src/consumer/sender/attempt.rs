//! One request to a consumer, from the messages that wait to what became of each.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use hyper::header::HeaderValue;
use protocol::{Positions, http::MAX_BATCH_BODY_BYTES};
use tokio::time::Instant;

use crate::{
    consumer::{
        client::{DeliveryRequest, DeliveryResponse, Outcomes},
        window::End,
    },
    delivery::{Delivery, Outcome},
};

/// The most bytes of the header that names positions: servers and proxies refuse larger ones, some from 8 KiB
/// for all headers together.
const MAX_HEADER_BYTES: usize = 4096;

/// The most bytes that a chunk takes in it with its first index: time, hyphen, number, slash and a range.
const MAX_CHUNK_BYTES: usize = 1 + 13 + 1 + 16 + 1 + MAX_RANGE_BYTES;

/// The most bytes that a further range of indices takes in it.
const MAX_RANGE_BYTES: usize = ",511-511".len();

/// An attempt that has ended.
pub(super) struct Attempt {
    /// What the window knows it by.
    pub(super) number: u64,
    pub(super) deliveries: Vec<Delivery>,
    pub(super) answered: DeliveryResponse,
    pub(super) begun: Instant,
    pub(super) ended: Instant,
}

impl Attempt {
    /// How long it took.
    pub(super) fn took(&self) -> Duration {
        self.ended - self.begun
    }

    /// What it tells of how much the consumer takes.
    pub(super) fn end(&self) -> End {
        let is_busy = |outcome: &Outcome| matches!(outcome, Outcome::Busy(_));
        match &self.answered.outcomes {
            Outcomes::All(Outcome::Busy(_)) => End::TooMuch,
            Outcomes::Each(outcomes) if outcomes.iter().any(is_busy) => End::TooMuch,
            Outcomes::All(Outcome::TimedOut) => End::Late,
            Outcomes::NoBatches(_) => End::Otherwise,
            Outcomes::All(_) | Outcomes::Each(_) if self.went_well() => End::Well {
                work: self.answered.work,
            },
            Outcomes::All(_) | Outcomes::Each(_) => End::Otherwise,
        }
    }

    /// Whether the consumer was connected to.
    pub(super) fn reached_it(&self) -> bool {
        !matches!(
            self.answered.outcomes,
            Outcomes::All(Outcome::Unreachable(_) | Outcome::OwnFault(_))
        )
    }

    /// Whether this side could not connect.
    pub(super) fn is_own_fault(&self) -> bool {
        matches!(self.answered.outcomes, Outcomes::All(Outcome::OwnFault(_)))
    }

    /// Whether the consumer did its part: it took no message for too much, and not all of them failed.
    pub(super) fn went_well(&self) -> bool {
        match &self.answered.outcomes {
            Outcomes::All(outcome) => is_well(outcome),
            Outcomes::Each(outcomes) => {
                let is_busy = |outcome: &Outcome| matches!(outcome, Outcome::Busy(_));
                outcomes.iter().any(is_well) && !outcomes.iter().any(is_busy)
            }
            Outcomes::NoBatches(_) => true,
        }
    }
}

fn is_well(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Delivered(_)
        | Outcome::Duplicate(_)
        | Outcome::UnknownPosition
        | Outcome::Rejected(_)
        | Outcome::Later(_) => true,
        Outcome::Busy(_)
        | Outcome::Failed(_)
        | Outcome::TimedOut
        | Outcome::Unreachable(_)
        | Outcome::Gone
        | Outcome::BadGateway(_)
        | Outcome::OwnFault(_) => false,
    }
}

/// Takes what one request may carry: up to `most` messages of [`MAX_BATCH_BODY_BYTES`] in all. One that
/// does not fit on a line, because it is spread over many, goes alone, and so does one that is to.
pub(super) fn batch(waiting: &mut VecDeque<Delivery>, most: usize) -> Vec<Delivery> {
    let Some(first) = waiting.pop_front() else {
        return Vec::new();
    };
    let mut bytes = line_bytes(&first);
    let mut header = MAX_CHUNK_BYTES;
    let may_have_company = may_have_company(&first);
    let mut batch = Vec::with_capacity(most.min(waiting.len() + 1));
    batch.push(first);
    while may_have_company
        && batch.len() < most
        && let Some(next) = waiting.front()
        && bytes + line_bytes(next) <= MAX_BATCH_BODY_BYTES
        && self::may_have_company(next)
        && are_of_one_queue(&batch[0], next)
        && header + header_bytes(&batch[batch.len() - 1], next) <= MAX_HEADER_BYTES
    {
        bytes += line_bytes(next);
        header += header_bytes(&batch[batch.len() - 1], next);
        batch.extend(waiting.pop_front());
    }
    batch
}

/// What a request with these messages carries; nothing without messages.
pub(super) fn request_for(deliveries: &[Delivery]) -> Option<DeliveryRequest> {
    let mut trace = None;
    let body = match deliveries {
        [] => return None,
        [one] => {
            let message = &one.leased.message;
            trace = message.trace_context();
            message.body().clone()
        }
        // Each has its own in its line.
        many => {
            let mut lines = Vec::with_capacity(many.iter().map(line_bytes).sum());
            for delivery in many {
                lines.extend_from_slice(delivery.leased.message.body());
                lines.push(b'\n');
            }
            Bytes::from(lines)
        }
    };
    Some(DeliveryRequest {
        messages: deliveries.len(),
        body,
        positions: positions(deliveries),
        trace,
    })
}

/// Where messages of one queue stand, as a header.
fn positions(deliveries: &[Delivery]) -> Option<HeaderValue> {
    let at = deliveries.iter().map(|delivery| &delivery.leased.at);
    let positions = Positions {
        queue: deliveries.first()?.leased.at.queue.clone(),
        positions: at.map(|at| at.position).collect(),
    };
    HeaderValue::try_from(positions.to_string()).ok()
}

/// Whether messages may go together: their positions are in one header, which names one queue.
fn are_of_one_queue(one: &Delivery, other: &Delivery) -> bool {
    one.leased.at.queue == other.leased.at.queue
}

/// How much longer a message makes the header, in bytes, at the most.
fn header_bytes(last: &Delivery, next: &Delivery) -> usize {
    let (last, next) = (last.leased.at.position, next.leased.at.position);
    if last.chunk() != next.chunk() {
        MAX_CHUNK_BYTES
    } else if last.index() + 1 == next.index() {
        0
    } else {
        MAX_RANGE_BYTES
    }
}

/// A message and its newline, in bytes.
fn line_bytes(delivery: &Delivery) -> usize {
    delivery.leased.bytes() + 1
}

fn may_have_company(delivery: &Delivery) -> bool {
    let leased = &delivery.leased;
    !leased.goes_alone && !leased.message.body().contains(&b'\n')
}

#[cfg(test)]
mod tests {
    use protocol::Message;

    use super::*;
    use crate::{
        delivery::LeasedMessage,
        queue::{LocalQueue, receiver::positions_of},
    };

    /// Messages of one chunk.
    fn waiting(bodies: &[String]) -> VecDeque<Delivery> {
        let queue = LocalQueue::new(usize::MAX);
        let leased = bodies
            .iter()
            .zip(positions_of(bodies.len()))
            .map(|(body, at)| {
                let message = Message::parse(Bytes::from(body.clone())).unwrap();
                LeasedMessage::new(message, Instant::now(), at)
            });
        queue.push_leased(leased);
        queue.take(bodies.len()).into()
    }

    fn message(id: &str, filling: usize) -> String {
        format!(r#"{{"message_id":"{id}","x":"{}"}}"#, "x".repeat(filling))
    }

    /// The sizes of the batches that come of them.
    fn batches(mut waiting: VecDeque<Delivery>, most: usize) -> Vec<usize> {
        let batches = std::iter::from_fn(|| Some(batch(&mut waiting, most)));
        let sizes = batches.map(|batch| batch.len());
        sizes.take_while(|size| *size > 0).collect()
    }

    #[test]
    fn a_batch_is_what_waits_up_to_the_most() {
        let five = || waiting(&["a", "b", "c", "d", "e"].map(|id| message(id, 0)));
        assert_eq!(batches(five(), 9), [5]);
        assert_eq!(batches(five(), 2), [2, 2, 1]);
        assert_eq!(batches(five(), 1), [1; 5]);
    }

    #[test]
    fn a_batch_is_bounded_in_bytes_and_a_message_never_too_large_for_one() {
        let third = MAX_BATCH_BODY_BYTES / 3;
        let large = ["a", "b", "c"].map(|id| message(id, third));
        assert_eq!(batches(waiting(&large), 9), [2, 1]);
        let huge = [message("a", 0), message("b", MAX_BATCH_BODY_BYTES - 30)];
        assert_eq!(batches(waiting(&huge), 9), [1, 1]);
    }

    #[test]
    fn a_message_of_many_lines_goes_alone() {
        let spread = "{\n\"message_id\": \"b\"\n}".to_owned();
        let mixed = [message("a", 0), spread.clone(), message("c", 0)];
        assert_eq!(batches(waiting(&mixed), 9), [1, 1, 1]);
        let mut alone = waiting(std::slice::from_ref(&spread));
        let request = request_for(&batch(&mut alone, 9)).unwrap();
        assert_eq!(
            (request.messages, &request.body[..]),
            (1, spread.as_bytes())
        );
    }

    #[test]
    fn messages_go_as_they_were_published_one_a_line() {
        let bodies = [r#"{"message_id" : "a" }"#, r#"{"x":1e3,"message_id":"b"}"#];
        let mut two = waiting(&bodies.map(str::to_owned));
        let request = request_for(&batch(&mut two, 9)).unwrap();
        assert_eq!(request.messages, 2);
        assert_eq!(request.body, format!("{}\n{}\n", bodies[0], bodies[1]));
        assert!(request_for(&[]).is_none());
    }
}
