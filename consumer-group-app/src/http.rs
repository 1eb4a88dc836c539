//! The routes of the group.

mod dashboard;
mod dead_letters;
mod events;
mod health;
mod membership;
mod messages;
mod metrics;
mod own_address;
mod ready;
mod status;

use std::sync::Arc;

use axum::{
    Router,
    routing::{get, post},
};
use protocol::http::{
    CHECK_MEMBERSHIP, DEAD_LETTERS, EVENTS, HEALTH, MESSAGES, READY, REGISTER, REPLAY, STATUS,
    UNREGISTER,
};
use redis_bus::{Connection, consumer_list::ConsumerList, probe::Probe};
use service_kit::{api_docs, metrics::METRICS};
use tokio_util::sync::CancellationToken;
use utoipa::OpenApi;

pub(crate) use dashboard::Dashboard;
pub(crate) use messages::Publishing;
pub(crate) use metrics::MetricsSources;
pub(crate) use own_address::OwnAddress;

use crate::{
    consumer::{registry::ConsumerGroup, sweeps::Sweeps},
    observe::status::Status,
};

/// What the routes share.
#[derive(Debug, Clone)]
pub(crate) struct AppState {
    pub(crate) list: ConsumerList,
    pub(crate) group: ConsumerGroup,
    pub(crate) sweeps: Sweeps,
    pub(crate) own_address: OwnAddress,
    pub(crate) capacity: usize,
    pub(crate) status: Status,
    pub(crate) connection: Connection,
    pub(crate) probe: Probe,
    /// Cancelled when the group hears no more, because it ends.
    pub(crate) ending: CancellationToken,
    pub(crate) publishing: Publishing,
    pub(crate) dashboard: Arc<Dashboard>,
    pub(crate) metrics: Arc<MetricsSources>,
}

/// The routes as they are described: one `#[utoipa::path]` each, beside the handler.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "consumer-group-app",
        version = env!("CARGO_PKG_VERSION"),
        description = "Turns a Redis Pub/Sub channel into a consumer group over HTTP. Every error is \
            `{\"error\":\"…\"}`; a path that does not exist answers 404, another method 405 with `Allow`.",
    ),
    tags(
        (name = "Membership", description = "For consumers: joining and leaving."),
        (name = "Messages", description = "For publishers."),
        (name = "Dead letters", description = "What was given up, and another chance for it."),
        (name = "Health", description = "For whoever watches."),
        (name = "API", description = "This description."),
    ),
    paths(
        health::health,
        ready::ready,
        membership::register,
        membership::unregister,
        membership::check_membership,
        messages::publish,
        status::status,
        metrics::metrics,
        events::events,
        dead_letters::list,
        dead_letters::replay::replay,
    ),
)]
struct Api;

/// The router of the group.
///
/// # Errors
/// When the description of the routes cannot be written as JSON.
pub(crate) fn router(state: AppState) -> Result<Router, serde_json::Error> {
    let docs = api_docs::router(Api::openapi())?;
    let routes = Router::new()
        .route(HEALTH, get(health::health))
        .route(READY, get(ready::ready))
        .route(REGISTER, post(membership::register))
        .route(UNREGISTER, post(membership::unregister))
        .route(CHECK_MEMBERSHIP, post(membership::check_membership))
        .route(MESSAGES, post(messages::publish))
        .route(STATUS, get(status::status))
        .route(METRICS, get(metrics::metrics))
        .route("/", get(dashboard::page))
        .route("/assets/{*name}", get(dashboard::asset))
        .route(EVENTS, get(events::events))
        .route(DEAD_LETTERS, get(dead_letters::list))
        .route(REPLAY, post(dead_letters::replay::replay))
        .with_state(state);
    Ok(routes.merge(docs))
}
