//! The routes of a consumer.

mod health;
mod metrics;
mod process_message;
mod process_messages;
mod ready;

use std::sync::Arc;

use axum::{
    Router,
    http::StatusCode,
    routing::{get, post},
};
use protocol::http::{HEALTH, PROCESS_MESSAGE, PROCESS_MESSAGES, READY};
use service_kit::{api_error::ApiError, metrics::METRICS};
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};

use self::health::Health;
pub(crate) use self::ready::Needs;
use crate::{Processor, processing::Processing, sink::SinkHandle};

/// What the routes share.
#[derive(Debug)]
pub(crate) struct AppState<P> {
    pub(crate) processing: Processing<P>,
    pub(crate) sink: SinkHandle,
    pub(crate) admission: Admission,
    /// How many messages come in one request at most; 1: they come one by one.
    pub(crate) max_batch: u32,
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

/// The router of a consumer that the group pushes to.
pub(crate) fn router<P: Processor>(state: Arc<AppState<P>>, needs: Needs) -> Router {
    let takes_batches = state.max_batch > 1;
    let max_batch = takes_batches.then_some(state.max_batch);
    let mut router = Router::new().route(PROCESS_MESSAGE, post(process_message::process_message));
    if takes_batches {
        router = router.route(PROCESS_MESSAGES, post(process_messages::process_messages));
    }
    router.with_state(state).merge(probes(needs, max_batch))
}

/// The router of a consumer that pulls.
pub(crate) fn pull_router(needs: Needs) -> Router {
    probes(needs, None)
}

/// The routes by which others see how the consumer is.
fn probes(needs: Needs, max_batch: Option<u32>) -> Router {
    let health = Health {
        admission: needs.admission.clone(),
        max_batch,
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
