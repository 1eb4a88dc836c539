//! The spans of a request to a consumer: one for each message whose trace is recorded.

use protocol::{ConsumerId, TraceParent};
use service_kit::spans::{self, Kind, Parent, Span};

use crate::{
    consumer::client::{DeliveryRequest, Outcomes},
    delivery::{Delivery, Outcome},
};

/// A place for each message of a request; none when spans are off.
#[derive(Debug, Default)]
pub(super) struct Spans(Vec<Option<Span>>);

impl Spans {
    /// Begins the spans. A message that goes alone tells its consumer that the parent is the span now.
    pub(super) fn begin(
        deliveries: &[Delivery],
        consumer: &ConsumerId,
        request: &mut DeliveryRequest,
    ) -> Self {
        if !spans::are_on() {
            return Self::default();
        }
        let spans = deliveries.iter().map(|delivery| begin(delivery, consumer));
        let spans: Vec<_> = spans.collect();
        if let ([Some(span)], Some(trace)) = (spans.as_slice(), &mut request.trace) {
            trace.parent = TraceParent::sampled(trace.parent.trace_id(), span.id());
        }
        Self(spans)
    }

    /// Ends the spans with what became of their messages.
    pub(super) fn end(self, outcomes: &Outcomes) {
        for (place, span) in self.0.into_iter().enumerate() {
            let Some(mut span) = span else { continue };
            let outcome = match outcomes {
                Outcomes::All(outcome) => Some(outcome),
                Outcomes::Each(outcomes) => outcomes.get(place),
                Outcomes::NoBatches(status) => {
                    span.fail(format!("the consumer answered {status} to a batch"));
                    None
                }
            };
            if let Some(outcome) = outcome {
                note(&mut span, outcome);
            }
        }
    }
}

fn begin(delivery: &Delivery, consumer: &ConsumerId) -> Option<Span> {
    let leased = &delivery.leased;
    let sent = leased.message.trace_context()?.parent;
    let parent = sent.is_sampled().then(|| Parent {
        trace_id: sent.trace_id(),
        span_id: sent.span_id(),
    })?;
    let mut span = Span::begin("deliver", Kind::Client, parent)?;
    span.note("message.id", leased.message.id().to_string());
    span.note("consumer.id", consumer.to_string());
    span.note("attempt", leased.attempts.to_string());
    Some(span)
}

fn note(span: &mut Span, outcome: &Outcome) {
    let name = match outcome {
        Outcome::Delivered(_) => "delivered",
        Outcome::Duplicate(_) => "duplicate",
        Outcome::Rejected(_) => "rejected",
        Outcome::Busy(_) => "busy",
        Outcome::Later(_) => "later",
        Outcome::Failed(_) => "failed",
        Outcome::TimedOut => "timed_out",
        Outcome::Unreachable(_) | Outcome::BadGateway(_) | Outcome::Gone => "unreachable",
        Outcome::OwnFault(_) => "own_fault",
        Outcome::UnknownPosition => "unknown_position",
    };
    span.note("outcome", name.to_owned());
    if !matches!(outcome, Outcome::Delivered(_) | Outcome::Duplicate(_)) {
        span.fail(outcome.describe());
    }
}
