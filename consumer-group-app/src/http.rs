//! The routes of the group.

mod health;
mod membership;
mod messages;
mod status;

use axum::{
    Router,
    routing::{get, post},
};
use protocol::http::{CHECK_MEMBERSHIP, HEALTH, MESSAGES, REGISTER, STATUS, UNREGISTER};
use redis_bus::{consumer_list::ConsumerList, queue::DurableQueue};

use crate::status::Status;

/// What the routes share.
#[derive(Debug, Clone)]
pub(crate) struct AppState {
    pub(crate) list: ConsumerList,
    pub(crate) capacity: usize,
    /// With `--queue stream` only.
    pub(crate) durable: Option<DurableQueue>,
    pub(crate) status: Status,
}

/// The router of the group.
pub(crate) fn router(state: AppState) -> Router {
    Router::new()
        .route(HEALTH, get(health::health))
        .route(REGISTER, post(membership::register))
        .route(UNREGISTER, post(membership::unregister))
        .route(CHECK_MEMBERSHIP, post(membership::check_membership))
        .route(MESSAGES, post(messages::publish))
        .route(STATUS, get(status::status))
        .with_state(state)
}
