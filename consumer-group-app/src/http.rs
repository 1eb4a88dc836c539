//! The routes of the group.

mod dashboard;
mod dead_letters;
mod events;
mod health;
mod leases;
mod membership;
mod messages;
mod metrics;
mod own_address;
mod ready;
mod status;

use std::sync::Arc;

use axum::{Router, routing::get};
use redis_bus::{Connection, consumer_list::ConsumerList, probe::Probe};
use service_kit::{api_docs, http_body::Room};
use tokio_util::sync::CancellationToken;
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(crate) use dashboard::Dashboard;
pub(crate) use leases::settling_room;
pub(crate) use messages::Publishing;
pub(crate) use metrics::MetricsSources;
pub(crate) use own_address::OwnAddress;

use crate::{
    consumer::{registry::ConsumerGroup, sweeps::Sweeps},
    leasing::Leasing,
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
    pub(crate) leasing: Leasing,
    pub(crate) settling_room: Room,
    pub(crate) dashboard: Arc<Dashboard>,
    pub(crate) metrics: Arc<MetricsSources>,
}

/// What is said of all routes; each is described by a `#[utoipa::path]` beside its handler.
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
        (name = "Messages", description = "For publishers, and for workers that fetch their messages."),
        (name = "Dead letters", description = "What was given up, and another chance for it."),
        (name = "Health", description = "For whoever watches."),
        (name = "API", description = "This description."),
    ),
)]
struct Api;

/// The router of the group.
///
/// # Errors
/// When the description of the routes cannot be written as JSON.
pub(crate) fn router(state: AppState) -> Result<Router, serde_json::Error> {
    let (routes, api) = OpenApiRouter::with_openapi(Api::openapi())
        .routes(routes!(health::health))
        .routes(routes!(ready::ready))
        .routes(routes!(membership::register))
        .routes(routes!(membership::unregister))
        .routes(routes!(membership::check_membership))
        .routes(routes!(messages::publish))
        .routes(routes!(leases::lease))
        .routes(routes!(leases::settle))
        .routes(routes!(leases::extend))
        .routes(routes!(status::status))
        .routes(routes!(metrics::metrics))
        .routes(routes!(events::events))
        .routes(routes!(dead_letters::list))
        .routes(routes!(dead_letters::replay::replay))
        .route("/", get(dashboard::page))
        .route("/assets/{*name}", get(dashboard::asset))
        .with_state(state)
        .split_for_parts();
    Ok(routes.merge(api_docs::router(api)?))
}
