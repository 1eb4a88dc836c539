//! The routes of the group.

mod dashboard;
mod dead_letters;
mod events;
mod health;
mod membership;
mod messages;
mod metrics;
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
use redis_bus::{Connection, consumer_list::ConsumerList, queue::DurableQueue};
use service_kit::metrics::METRICS;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

pub(crate) use dashboard::Dashboard;
pub(crate) use metrics::Told;

use crate::{consumer_group::ConsumerGroup, status::Status};

/// What the routes share.
#[derive(Debug, Clone)]
pub(crate) struct AppState {
    pub(crate) list: ConsumerList,
    pub(crate) group: ConsumerGroup,
    pub(crate) capacity: usize,
    /// With `--queue stream` only.
    pub(crate) durable: Option<DurableQueue>,
    pub(crate) status: Status,
    pub(crate) connection: Connection,
    /// Cancelled when the group hears no more, because it ends.
    pub(crate) ending: CancellationToken,
    pub(crate) publishing: Turns,
    pub(crate) dashboard: Arc<Dashboard>,
    pub(crate) told: Arc<Told>,
}

/// Turns of those who publish over HTTP; clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Turns(Arc<Semaphore>);

impl Default for Turns {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(messages::AT_ONCE)))
    }
}

/// The router of the group.
pub(crate) fn router(state: AppState) -> Router {
    Router::new()
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
        .route(REPLAY, post(dead_letters::replay))
        .with_state(state)
}
