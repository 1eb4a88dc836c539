//! What is asked of a consumer, as it goes over the wire.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Uri,
    header::{CONNECTION, CONTENT_TYPE, HOST, HeaderName, HeaderValue},
};
use protocol::{
    TraceContext,
    http::{HEALTH, PROCESS_MESSAGE, PROCESS_MESSAGES},
    message::MAX_MESSAGE_BYTES,
    positions::QUEUE_POSITIONS,
    trace::{TRACEPARENT, TRACESTATE},
};
use tokio::sync::Semaphore;

use crate::consumer::connection::AnswerBounds;

/// How much of an answer to one message is read beside the entry in it, in bytes; of a longer one the start has to
/// do…
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// …and how much more for each further message.
const MAX_RESULT_BYTES: usize = 4096;

/// How much more for the entries in it, of one message or of many.
const MAX_ENTRIES_BYTES: usize = MAX_MESSAGE_BYTES;

/// What a request for messages carries.
#[derive(Debug, Clone)]
pub(crate) struct DeliveryRequest {
    /// How many messages.
    pub(crate) messages: usize,
    /// One as it was published, or many with a newline after each.
    pub(crate) body: Bytes,
    /// Where the messages stand in the queue.
    pub(crate) positions: Option<HeaderValue>,
    /// What one message says of the trace it belongs to.
    pub(crate) trace: Option<TraceContext>,
}

impl DeliveryRequest {
    /// How much of the answer's body is read; what is large takes `room`.
    pub(super) fn answer_bounds(&self, room: &Arc<Semaphore>) -> AnswerBounds {
        let small = MAX_ANSWER_BYTES + MAX_RESULT_BYTES * self.messages.saturating_sub(1);
        AnswerBounds {
            most: small + MAX_ENTRIES_BYTES,
            small,
            room: Arc::clone(room),
        }
    }

    pub(super) fn into_http(self, host: HeaderValue) -> Request<Full<Bytes>> {
        let (path, content_type) = match self.messages {
            1 => (PROCESS_MESSAGE, "application/json"),
            _ => (PROCESS_MESSAGES, "application/x-ndjson"),
        };
        let mut request = to(host, Method::POST, path, self.body);
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        if let Some(positions) = self.positions {
            headers.insert(HeaderName::from_static(QUEUE_POSITIONS), positions);
        }
        if let Some(TraceContext { parent, state }) = self.trace {
            let mut pass_on = |name, value: &str| {
                if let Ok(value) = HeaderValue::from_str(value) {
                    headers.insert(HeaderName::from_static(name), value);
                }
            };
            pass_on(TRACEPARENT, parent.as_str());
            if let Some(state) = state {
                pass_on(TRACESTATE, &state);
            }
        }
        request
    }
}

/// The only request of its connection.
pub(super) fn health(host: HeaderValue) -> Request<Full<Bytes>> {
    let mut request = to(host, Method::GET, HEALTH, Bytes::new());
    let headers = request.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    request
}

fn to(host: HeaderValue, method: Method, path: &'static str, body: Bytes) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = Uri::from_static(path);
    request.headers_mut().insert(HOST, host);
    request
}
