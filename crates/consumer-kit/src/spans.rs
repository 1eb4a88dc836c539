//! The span of a message that is processed, where its trace is recorded.

use axum::http::HeaderMap;
use protocol::{ConsumerId, Message, TraceParent, trace::TRACEPARENT};
use service_kit::spans::{self, Kind, Parent, Span};

/// The span that a request comes from, by its header; not looked for when spans are off.
pub(crate) fn sender(headers: &HeaderMap) -> Option<TraceParent> {
    let header = headers.get(TRACEPARENT).filter(|_| spans::are_on())?;
    TraceParent::parse(header.to_str().ok()?)
}

/// Begins the span of a message. Its parent is whoever sent it, else what the message says itself.
pub(crate) fn begin(
    message: &Message,
    sender: Option<TraceParent>,
    consumer: &ConsumerId,
) -> Option<Span> {
    if !spans::are_on() {
        return None;
    }
    let own = || Some(message.trace_context()?.parent);
    let parent = sender.or_else(own).filter(TraceParent::is_sampled)?;
    let parent = Parent {
        trace_id: parent.trace_id(),
        span_id: parent.span_id(),
    };
    let mut span = Span::begin("process", Kind::Consumer, parent)?;
    span.note("message.id", message.id().to_string());
    span.note("consumer.id", consumer.to_string());
    Some(span)
}

/// Ends the span of a message that was not processed.
pub(crate) fn fail(span: Option<Span>, why: &str) {
    if let Some(mut span) = span {
        span.fail(why.to_owned());
    }
}
