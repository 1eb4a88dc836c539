//! The routes of a consumer.

mod health;
mod metrics;
mod positions;
mod process_message;
mod process_messages;
mod ready;
mod worked;

use std::{num::NonZeroU32, sync::Arc};

use axum::{
    Router,
    http::StatusCode,
    routing::{get, post},
};
use protocol::http::{HEALTH, PROCESS_MESSAGE, PROCESS_MESSAGES, READY};
use service_kit::{api_docs, api_error::ApiError, metrics::METRICS};
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};
use utoipa::OpenApi;

use self::health::Health;
pub(crate) use self::ready::HealthState;
use crate::{Processor, processing::Processing, sink::SinkHandle};

/// What the routes share.
#[derive(Debug)]
pub(crate) struct AppState<P> {
    pub(crate) processing: Processing<P>,
    pub(crate) sink: SinkHandle,
    pub(crate) admission: Admission,
    /// How many messages come in one request at most; 1: they come one by one.
    pub(crate) max_batch: u32,
    /// How many messages are processed at once; `None` for no limit.
    pub(crate) concurrency: Option<NonZeroU32>,
}

/// Lets work in, and is closed for the end of the process.
#[derive(Debug, Clone, Default)]
pub(crate) struct Admission(TaskTracker);

impl Admission {
    /// A token to hold while working; 503 once closed.
    fn admit(&self) -> Result<TaskTrackerToken, ApiError> {
        let token = self.0.token();
        if self.0.is_closed() {
            Err(draining())
        } else {
            Ok(token)
        }
    }

    /// Runs a piece of work of our own.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(work);
    }

    /// As many more pieces of work of our own, each under way until its token is dropped.
    pub(crate) fn tokens(&self, count: usize) -> Vec<TaskTrackerToken> {
        (0..count).map(|_| self.0.token()).collect()
    }

    fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// Lets nothing in any more, and waits until all work has ended.
    pub(crate) async fn close(&self) {
        self.0.close();
        self.0.wait().await;
    }

    /// How much work is under way.
    pub(crate) fn under_way(&self) -> usize {
        self.0.len()
    }
}

fn draining() -> ApiError {
    let text = "This consumer is shutting down.".to_owned();
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, text)
}

/// The routes of every consumer as they are described: one `#[utoipa::path]` each, beside the handler.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "consumer-app",
        version = env!("CARGO_PKG_VERSION"),
        description = "A worker of the consumer group. Every error is `{\"error\":\"…\"}`; a path that does \
            not exist answers 404, another method 405 with `Allow`.",
    ),
    tags(
        (name = "Messages", description = "For the group."),
        (name = "Health", description = "For the group, and for whoever watches."),
        (name = "API", description = "This description."),
    ),
    paths(health::health, ready::ready, metrics::metrics),
)]
struct Api;

/// The further route of a consumer that the group pushes to.
#[derive(OpenApi)]
#[openapi(paths(process_message::process_message))]
struct PushApi;

/// The further route of one that takes many messages at a time.
#[derive(OpenApi)]
#[openapi(paths(process_messages::process_messages))]
struct BatchApi;

/// The router of a consumer that the group pushes to.
///
/// # Errors
/// When the description of the routes cannot be written as JSON.
pub(crate) fn router<P: Processor>(
    state: Arc<AppState<P>>,
    needs: HealthState,
) -> Result<Router, serde_json::Error> {
    let mut api = Api::openapi();
    api.merge(PushApi::openapi());
    let takes_batches = state.max_batch > 1;
    let max_batch = takes_batches.then_some(state.max_batch);
    let mut router = Router::new().route(PROCESS_MESSAGE, post(process_message::process_message));
    if takes_batches {
        router = router.route(PROCESS_MESSAGES, post(process_messages::process_messages));
        api.merge(BatchApi::openapi());
    }
    let others = probes(needs, max_batch, state.concurrency).merge(api_docs::router(api)?);
    Ok(router.with_state(state).merge(others))
}

/// The router of a consumer that pulls.
///
/// # Errors
/// As [`router`].
pub(crate) fn pull_router(needs: HealthState) -> Result<Router, serde_json::Error> {
    Ok(probes(needs, None, None).merge(api_docs::router(Api::openapi())?))
}

/// The routes by which others see how the consumer is.
fn probes(needs: HealthState, max_batch: Option<u32>, concurrency: Option<NonZeroU32>) -> Router {
    let health = Health {
        admission: needs.admission.clone(),
        max_batch,
        concurrency,
    };
    let health = Router::new()
        .route(HEALTH, get(health::health))
        .with_state(health);
    let ready = Router::new()
        .route(READY, get(ready::ready))
        .with_state(needs.clone());
    let metrics = Router::new()
        .route(METRICS, get(metrics::metrics))
        .with_state(needs);
    health.merge(ready).merge(metrics)
}
