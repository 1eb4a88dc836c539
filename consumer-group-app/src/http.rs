//! The routes of the group.

mod health;
mod membership;

use axum::{
    Router,
    routing::{get, post},
};
use protocol::http::{CHECK_MEMBERSHIP, HEALTH, REGISTER, UNREGISTER};
use redis_bus::consumer_list::ConsumerList;

/// What the routes share.
#[derive(Debug, Clone)]
pub(crate) struct AppState {
    pub(crate) list: ConsumerList,
    pub(crate) capacity: usize,
}

/// The router of the group.
pub(crate) fn router(state: AppState) -> Router {
    Router::new()
        .route(HEALTH, get(health::health))
        .route(REGISTER, post(membership::register))
        .route(UNREGISTER, post(membership::unregister))
        .route(CHECK_MEMBERSHIP, post(membership::check_membership))
        .with_state(state)
}
