//! One HTTP/1.1 connection to a consumer, driven by the attempt that uses it.
//!
//! A general client keeps each connection in a task of its own, so that every message crosses tasks, and
//! often threads, four times. Here a sender holds its idle connections itself, and the attempt under way on a
//! connection polls it: a message stays within the task of its sender.

mod bounds;
mod limited_stream;

use std::{
    fmt,
    future::poll_fn,
    io,
    pin::{Pin, pin},
    task::Poll,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    HeaderMap, Request, Response, StatusCode,
    body::Incoming,
    client::conn::http1::{self, Connection as Driver, SendRequest},
    header::{DATE, RETRY_AFTER},
};
use hyper_util::rt::TokioIo;
use protocol::{
    ConsumerId,
    work_time::{SERVER_TIMING, work_in},
};
use service_kit::{http_client::POOL_IDLE_TIMEOUT, resolver::Resolver, telemetry::chain};
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, timeout, timeout_at},
};

pub(crate) use self::bounds::AnswerBounds;
use self::limited_stream::{LimitedStream, ReadLimit};
use crate::consumer::retry_after;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);

/// How much may come beside the body of an answer, in bytes: its head, and the answers 1xx before it, which
/// may be many.
const MAX_HEAD_BYTES: usize = 512 * 1024;

/// What a consumer answered.
#[derive(Debug)]
pub(crate) struct ConsumerResponse {
    pub(crate) status: StatusCode,
    /// Its headers; none when the head is lost.
    pub(crate) headers: HeaderMap,
    /// As much of it as could be read.
    pub(crate) body: Vec<u8>,
    /// What is missing.
    pub(crate) lost: Option<Truncation>,
    /// The room that a large body takes.
    pub(crate) room: Option<OwnedSemaphorePermit>,
}

impl ConsumerResponse {
    /// `Retry-After`; a date is meant by the clock of who sent it.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        let text = |name| self.headers.get(name)?.to_str().ok();
        let date = text(DATE).and_then(|date| httpdate::parse_http_date(date).ok());
        let now = date.unwrap_or_else(SystemTime::now);
        retry_after::parse(text(RETRY_AFTER)?, now)
    }

    /// How long the consumer says it worked.
    pub(crate) fn work(&self) -> Option<Duration> {
        let mut values = self.headers.get_all(SERVER_TIMING).iter();
        values.find_map(|value| work_in(value.to_str().ok()?))
    }
}

/// What could not be read of an answer whose status is known. The connection is of no more use then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Truncation {
    /// All but the status, such as with a head that is too large.
    Head,
    /// The end of a body that is longer than anybody needs.
    Excess,
    /// The end: the connection broke.
    Broken(String),
    /// The end: it did not come in time.
    Late,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectionError {
    /// The consumer could not be connected to; it has not seen the message.
    #[error("cannot connect to the consumer")]
    Connect(#[source] io::Error),
    /// The connection ended before the request was sent.
    #[error("the connection was closed before the request was sent")]
    Unsent,
    /// The connection failed after that. The consumer may have processed the message.
    #[error("the connection to the consumer failed")]
    Broken(#[source] hyper::Error),
    /// It ended without an error.
    #[error("the connection to the consumer ended before its answer")]
    Ended,
    /// There was no answer in time. The consumer may have processed the message.
    #[error("the consumer did not answer in time")]
    Late,
}

/// A connection that carries one request at a time. It goes from hand to hand with each request.
pub(crate) struct ConsumerConnection(Box<Parts>);

/// What it is made of, some kilobytes.
struct Parts {
    sender: SendRequest<Full<Bytes>>,
    driver: Driver<TokioIo<LimitedStream>, Full<Bytes>>,
    limit: ReadLimit,
    last_used: Instant,
}

impl ConsumerConnection {
    /// Connects to a consumer.
    pub(crate) async fn open(
        consumer: &ConsumerId,
        resolver: &Resolver,
    ) -> Result<Self, ConnectionError> {
        let connecting = resolver.connect(consumer.host(), consumer.port());
        let connected = timeout(CONNECT_TIMEOUT, connecting).await;
        let stream = connected
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map_err(ConnectionError::Connect)?;
        stream.set_nodelay(true).map_err(ConnectionError::Connect)?;
        let limit = ReadLimit::default();
        let limited_stream = LimitedStream::new(stream, limit.clone());
        let handshake = http1::handshake(TokioIo::new(limited_stream)).await;
        let (sender, driver) = handshake.map_err(ConnectionError::Broken)?;
        Ok(Self(Box::new(Parts {
            sender,
            driver,
            limit,
            last_used: Instant::now(),
        })))
    }

    /// Whether the consumer may have closed it by now, as servers do with idle connections.
    pub(crate) fn is_stale(&self) -> bool {
        self.0.last_used.elapsed() > POOL_IDLE_TIMEOUT
    }

    /// Sends a request and reads the answer, of its body no more than there are bounds for. After an error the
    /// connection is of no more use.
    pub(crate) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
        bounds: &AnswerBounds,
        deadline: Instant,
    ) -> Result<ConsumerResponse, ConnectionError> {
        let Parts {
            sender,
            driver,
            limit,
            last_used,
        } = &mut *self.0;
        limit.begin(MAX_HEAD_BYTES + bounds.most);
        // A connection that has ended, such as after `Connection: close`, leaves its sender waiting for ever.
        let ready = drive(driver, sender.ready()).await;
        if ready.is_none_or(|ready| ready.is_err()) {
            return Err(ConnectionError::Unsent);
        }
        let exchange = async {
            let sending = sender.send_request(request);
            match timeout_at(deadline, sending).await {
                Ok(Ok(response)) => Ok(read(response, bounds, limit, deadline).await),
                Ok(Err(error)) => without_head(error, limit),
                Err(_) => Err(ConnectionError::Late),
            }
        };
        let answer = drive(driver, exchange)
            .await
            .ok_or(ConnectionError::Ended)??;
        *last_used = Instant::now();
        Ok(answer)
    }
}

impl fmt::Debug for ConsumerConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsumerConnection")
            .field("last_used", &self.0.last_used)
            .finish_non_exhaustive()
    }
}

/// Polls the connection beside what waits for it; `None` when it ends and what waits does not.
async fn drive<T>(
    driver: &mut Driver<TokioIo<LimitedStream>, Full<Bytes>>,
    exchange: impl Future<Output = T>,
) -> Option<T> {
    let mut exchange = pin!(exchange);
    poll_fn(|context| {
        if let Poll::Ready(result) = exchange.as_mut().poll(context) {
            return Poll::Ready(Some(result));
        }
        // How it ended reaches the exchange, too, as its own error.
        let has_ended = Pin::new(&mut *driver).poll(context).is_ready();
        match exchange.as_mut().poll(context) {
            Poll::Ready(result) => Poll::Ready(Some(result)),
            Poll::Pending if has_ended => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// What is known when the head of an answer cannot be read. The consumer may have done the work all the same,
/// so its status counts when there is one.
fn without_head(
    error: hyper::Error,
    limit: &ReadLimit,
) -> Result<ConsumerResponse, ConnectionError> {
    if error.is_canceled() {
        return Err(ConnectionError::Unsent);
    }
    match limit.status() {
        Some(status) if error.is_parse() => Ok(ConsumerResponse {
            status,
            headers: HeaderMap::new(),
            body: Vec::new(),
            lost: Some(Truncation::Head),
            room: None,
        }),
        _ => Err(ConnectionError::Broken(error)),
    }
}

/// Reads to the end, so that an answer that breaks off is noticed and the connection can be used again, but no
/// more than there are bounds for.
async fn read(
    response: Response<Incoming>,
    bounds: &AnswerBounds,
    limit: &ReadLimit,
    deadline: Instant,
) -> ConsumerResponse {
    let (head, mut incoming) = response.into_parts();
    let (mut body, mut taken) = (Vec::new(), None);
    let reading = async {
        while let Some(frame) = incoming.frame().await {
            match frame {
                Ok(frame) => {
                    let data = frame.into_data().unwrap_or_default();
                    let left = bounds.most - body.len();
                    let kept = data.get(..left).unwrap_or(&data);
                    if taken.is_none() {
                        taken = bounds.room_for(body.len() + kept.len()).await;
                    }
                    body.extend_from_slice(kept);
                    if data.len() > left {
                        return Some(Truncation::Excess);
                    }
                }
                Err(_) if limit.is_used_up() => return Some(Truncation::Excess),
                Err(error) => return Some(Truncation::Broken(chain(&error))),
            }
        }
        None
    };
    let lost = timeout_at(deadline, reading).await;
    ConsumerResponse {
        status: head.status,
        headers: head.headers,
        body,
        lost: lost.unwrap_or(Some(Truncation::Late)),
        room: taken,
    }
}
