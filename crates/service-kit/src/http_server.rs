//! An HTTP/1.1 accept loop with the limits a network-facing server needs.
//!
//! `axum::serve` installs no timer and bounds neither connections nor headers, so that a client which
//! sends its header byte by byte holds a connection for ever. Hyper's own builder has all of that.

use std::{io, net::Ipv6Addr, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Deserialize;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::{debug, error, warn};

use crate::{
    api_error::ApiError, descriptors, log_throttle::LogThrottle, request_id::with_request_ids,
    supervisor::Role,
};

/// The most connections open at once, and no more than half of what the process may open; a further one waits in
/// the system's backlog.
const MAX_CONNECTIONS: usize = 4096;

/// How long a client may take to send a request's header, and how long an idle connection is kept.
///
/// Longer than [`crate::http_client::POOL_IDLE_TIMEOUT`], so that it is the client that closes first
/// and never sends a request into a connection that is just being closed.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a client may take nothing of its answer. Without that, one that never reads would keep its connection for
/// ever; one that reads slowly keeps it.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// The most header lines of a request.
const MAX_HEADERS: usize = 64;

/// The most bytes of a connection's read buffer, and so of a request's header.
const MAX_BUFFER_BYTES: usize = 64 * 1024;

/// How long open connections may take to end after the server was cancelled.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Section `[rest_api]`: where to listen.
#[derive(Debug, Clone, Deserialize)]
pub struct Address {
    /// Host name or address.
    pub host: String,
    /// Port; 0 for any free one.
    pub port: u16,
}

/// How often a warning may repeat.
const WARN_EVERY: Duration = Duration::from_secs(10);

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot bind {at}; choose another with --restApiHost, --restApiPort")]
pub struct BindError {
    at: String,
    source: io::Error,
}

impl Address {
    /// Starts to listen.
    ///
    /// # Errors
    /// [`BindError`] when the address is in use, or not one of this machine's.
    pub async fn bind(&self) -> Result<TcpListener, BindError> {
        let Self { host, port } = self;
        let bound = TcpListener::bind((host.as_str(), *port)).await;
        bound.map_err(|source| BindError {
            at: match host.parse::<Ipv6Addr>() {
                Ok(address) => format!("[{address}]:{port}"),
                Err(_) => format!("{host}:{port}"),
            },
            source,
        })
    }
}

/// Serves a router on a listener until cancelled.
#[derive(Debug)]
pub struct HttpServer {
    listener: TcpListener,
    router: Router,
    refusals: LogThrottle,
}

impl HttpServer {
    /// A server for `router`; unknown paths and methods are answered in JSON, a panic with 500.
    #[must_use]
    pub fn new(listener: TcpListener, router: Router) -> Self {
        let router = router
            .fallback(async || ApiError::not_found())
            .method_not_allowed_fallback(async || ApiError::method_not_allowed())
            .layer(CatchPanicLayer::custom(ApiError::panicked));
        Self {
            listener,
            router,
            refusals: LogThrottle::every(WARN_EVERY),
        }
    }

    /// Accepts the next connection; errors of single connections are waited out.
    async fn accept(&self, permits: &Arc<Semaphore>) -> Option<(TcpStream, Permit)> {
        let permit = Arc::clone(permits).acquire_owned().await.ok()?;
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => return Some((stream, permit)),
                Err(cause) if is_of_one_connection(&cause) => {}
                Err(cause) => {
                    if let Some(suppressed) = self.refusals.due() {
                        warn!(%cause, suppressed, "cannot accept connections; trying again each second");
                    }
                    sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }
}

type Permit = tokio::sync::OwnedSemaphorePermit;

impl Role for HttpServer {
    async fn run(&mut self, cancelled: CancellationToken) {
        let permits = Arc::new(Semaphore::new(max_connections(descriptors::limit())));
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = cancelled.cancelled() => break,
                accepted = self.accept(&permits) => {
                    let Some((stream, permit)) = accepted else { return };
                    connections.spawn(serve(stream, permit, self.router.clone(), cancelled.clone()));
                }
                Some(ended) = connections.join_next() => note_end(ended),
            }
        }
        let all_closed = async {
            while let Some(ended) = connections.join_next().await {
                note_end(ended);
            }
        };
        if timeout(CLOSE_TIMEOUT, all_closed).await.is_err() {
            warn!("some connections did not end in time and were cut");
        }
    }
}

/// Answers the requests of one connection; after cancellation only the one under way.
async fn serve(stream: TcpStream, _: Permit, router: Router, cancelled: CancellationToken) {
    if let Err(cause) = stream.set_nodelay(true) {
        debug!(%cause, "cannot set TCP_NODELAY");
    }
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_BUFFER_BYTES);
    let service = with_request_ids(router);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_TIMEOUT));
    let connection = builder.serve_connection(TokioIo::new(Box::pin(stream)), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = cancelled.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(cause) = ended {
        debug!(%cause, "a connection ended with an error");
    }
}

/// How many connections may be open at once where the process may have so many descriptors: the other half is for its own
/// connections and files.
fn max_connections(descriptors: u64) -> usize {
    let half = usize::try_from(descriptors / 2).unwrap_or(MAX_CONNECTIONS);
    half.clamp(1, MAX_CONNECTIONS)
}

fn note_end(ended: Result<(), tokio::task::JoinError>) {
    if let Err(cause) = ended {
        error!(%cause, "the task of a connection ended unexpectedly");
    }
}

/// Whether the error says nothing about the listener itself.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
    )
}
