//! One HTTP/1.1 connection to a consumer, driven by the attempt that uses it.
//!
//! A general client keeps each connection in a task of its own, so that every message crosses tasks, and
//! often threads, four times. Here an outbox holds its idle lanes itself, and the attempt under way on a
//! lane polls it: a message stays within the task of its outbox.

use std::{
    fmt,
    future::poll_fn,
    io,
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    client::conn::http1::{self, Connection, SendRequest},
    header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue, RETRY_AFTER},
};
use hyper_util::rt::TokioIo;
use protocol::{
    ConsumerId, TraceContext,
    http::{PROCESS_MESSAGE, PROCESS_MESSAGES},
    trace::{TRACEPARENT, TRACESTATE},
};
use service_kit::http_client::POOL_IDLE_TIMEOUT;
use tokio::{
    net::TcpStream,
    time::{Instant, timeout},
};

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);

/// How much of an answer to one message is read, in bytes; a longer one is an error…
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// …and how much more for each further message.
const MAX_RESULT_BYTES: usize = 1024;

/// What a request carries.
#[derive(Debug, Clone)]
pub(crate) struct Parcel {
    /// How many messages.
    pub(crate) messages: usize,
    /// One as it was published, or many with a newline after each.
    pub(crate) body: Bytes,
    /// What one message says of the trace it belongs to.
    pub(crate) trace: Option<TraceContext>,
}

/// What a consumer answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LaneError {
    /// The consumer could not be connected to; it has not seen the message.
    #[error("cannot connect to the consumer")]
    Connect(#[source] io::Error),
    /// The connection ended before the message was sent.
    #[error("the connection was closed before the message was sent")]
    Unsent,
    /// The connection failed after that. The consumer may have processed the message.
    #[error("the connection to the consumer failed")]
    Broken(#[source] hyper::Error),
    /// The answer broke off, or is too long.
    #[error("cannot read the consumer's answer: {0}")]
    Answer(String),
}

/// A connection that carries one request at a time.
pub(crate) struct Lane {
    sender: SendRequest<Full<Bytes>>,
    connection: Connection<TokioIo<TcpStream>, Full<Bytes>>,
    last_used: Instant,
}

impl Lane {
    /// Connects to a consumer.
    pub(crate) async fn open(consumer: &ConsumerId) -> Result<Self, LaneError> {
        let connecting = TcpStream::connect(consumer.as_str());
        let connected = timeout(CONNECT_TIMEOUT, connecting).await;
        let stream = connected
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map_err(LaneError::Connect)?;
        stream.set_nodelay(true).map_err(LaneError::Connect)?;
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = handshake.map_err(LaneError::Broken)?;
        Ok(Self {
            sender,
            connection,
            last_used: Instant::now(),
        })
    }

    /// Whether the consumer may have closed it by now, as servers do with idle connections.
    pub(crate) fn is_stale(&self) -> bool {
        self.last_used.elapsed() > POOL_IDLE_TIMEOUT
    }

    /// Sends messages and reads the whole answer. After an error the lane is of no more use.
    pub(crate) async fn send(
        &mut self,
        host: HeaderValue,
        parcel: Parcel,
    ) -> Result<Answer, LaneError> {
        let Self {
            sender,
            connection,
            last_used,
        } = self;
        let max_answer_bytes = MAX_ANSWER_BYTES + MAX_RESULT_BYTES * (parcel.messages - 1);
        // A connection that has ended, such as after `Connection: close`, leaves its sender waiting for ever.
        let ready = drive(connection, sender.ready()).await;
        if ready.is_none_or(|ready| ready.is_err()) {
            return Err(LaneError::Unsent);
        }
        let exchange = async {
            match sender.send_request(request(host, parcel)).await {
                Ok(response) => read(response, max_answer_bytes).await,
                Err(error) if error.is_canceled() => Err(LaneError::Unsent),
                Err(error) => Err(LaneError::Broken(error)),
            }
        };
        let ended = || LaneError::Answer("the connection ended".to_owned());
        let answer = drive(connection, exchange).await.ok_or_else(ended)??;
        *last_used = Instant::now();
        Ok(answer)
    }
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane")
            .field("last_used", &self.last_used)
            .finish_non_exhaustive()
    }
}

fn request(host: HeaderValue, parcel: Parcel) -> Request<Full<Bytes>> {
    let (path, content_type) = match parcel.messages {
        1 => (PROCESS_MESSAGE, "application/json"),
        _ => (PROCESS_MESSAGES, "application/x-ndjson"),
    };
    let mut request = Request::new(Full::new(parcel.body));
    *request.method_mut() = hyper::Method::POST;
    *request.uri_mut() = hyper::Uri::from_static(path);
    let headers = request.headers_mut();
    headers.insert(HOST, host);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Some(TraceContext { parent, state }) = parcel.trace {
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

/// Polls the connection beside what waits for it; `None` when it ends and what waits does not.
async fn drive<T>(
    connection: &mut Connection<TokioIo<TcpStream>, Full<Bytes>>,
    exchange: impl Future<Output = T>,
) -> Option<T> {
    let mut exchange = pin!(exchange);
    poll_fn(|context| {
        if let Poll::Ready(result) = exchange.as_mut().poll(context) {
            return Poll::Ready(Some(result));
        }
        // How it ended reaches the exchange, too, as its own error.
        let has_ended = Pin::new(&mut *connection).poll(context).is_ready();
        match exchange.as_mut().poll(context) {
            Poll::Ready(result) => Poll::Ready(Some(result)),
            Poll::Pending if has_ended => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Reads to the end, so that an answer that breaks off is noticed and the lane can be used again.
async fn read(response: Response<Incoming>, max_bytes: usize) -> Result<Answer, LaneError> {
    let status = response.status();
    let retry_after = retry_after(&response);
    match Limited::new(response.into_body(), max_bytes)
        .collect()
        .await
    {
        Ok(body) => Ok(Answer {
            status,
            retry_after,
            body: body.to_bytes(),
        }),
        Err(error) if error.is::<LengthLimitError>() => Err(LaneError::Answer(format!(
            "it is longer than {max_bytes} bytes"
        ))),
        Err(error) => Err(LaneError::Answer(error.to_string())),
    }
}

/// `Retry-After` in seconds; its other form, a date, is not worth a parser here (RFC 9110, 10.2.3).
fn retry_after(response: &Response<Incoming>) -> Option<Duration> {
    let value = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    value.parse().ok().map(Duration::from_secs)
}
