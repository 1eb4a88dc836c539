//! The routes of a consumer.

mod health;
mod metrics;
mod positions;
mod process_message;
mod process_messages;
mod ready;
mod worked;

use std::{num::NonZeroU32, sync::Arc};

use axum::{Router, http::StatusCode};
use service_kit::{api_docs, api_error::ApiError};
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

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

/// What is said of all routes; each is described by a `#[utoipa::path]` beside its handler.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "worker",
        description = "A worker of the consumer group. Every error is `{\"error\":\"…\"}`; a path that does \
            not exist answers 404, another method 405 with `Allow`.",
    ),
    tags(
        (name = "Messages", description = "For the group."),
        (name = "Health", description = "For the group, and for whoever watches."),
        (name = "API", description = "This description."),
    ),
)]
struct Api;

/// The router of a consumer that the group pushes to.
///
/// # Errors
/// When the description of the routes cannot be written as JSON.
pub(crate) fn router<P: Processor>(
    state: Arc<AppState<P>>,
    needs: HealthState,
) -> Result<Router, serde_json::Error> {
    let takes_batches = state.max_batch > 1;
    let max_batch = takes_batches.then_some(state.max_batch);
    let mut pushed = OpenApiRouter::new().routes(routes!(process_message::process_message));
    if takes_batches {
        pushed = pushed.routes(routes!(process_messages::process_messages));
    }
    let probes = probes(needs, max_batch, state.concurrency);
    documented(probes.merge(pushed.with_state(state)))
}

/// The router of a consumer that pulls.
///
/// # Errors
/// As [`router`].
pub(crate) fn pull_router(needs: HealthState) -> Result<Router, serde_json::Error> {
    documented(probes(needs, None, None))
}

/// The routes by which others see how the consumer is.
fn probes(
    needs: HealthState,
    max_batch: Option<u32>,
    concurrency: Option<NonZeroU32>,
) -> OpenApiRouter {
    let health = Health {
        admission: needs.admission.clone(),
        max_batch,
        concurrency,
    };
    let health = OpenApiRouter::new()
        .routes(routes!(health::health))
        .with_state(health);
    let mut api = Api::openapi();
    api.info.title.clone_from(&needs.identity.name);
    needs
        .identity
        .build
        .version
        .clone_into(&mut api.info.version);
    let others = OpenApiRouter::new()
        .routes(routes!(ready::ready))
        .routes(routes!(metrics::metrics))
        .with_state(needs);
    OpenApiRouter::with_openapi(api).merge(health).merge(others)
}

/// The same, with the routes that show what they are.
fn documented(routes: OpenApiRouter) -> Result<Router, serde_json::Error> {
    let (routes, api) = routes.split_for_parts();
    Ok(routes.merge(api_docs::router(api)?))
}
