//! The routes of the group.

mod health;
mod membership;
mod messages;
mod status;

use std::sync::Arc;

use axum::{
    Router,
    routing::{get, post},
};
use protocol::http::{CHECK_MEMBERSHIP, HEALTH, MESSAGES, REGISTER, STATUS, UNREGISTER};
use redis_bus::{consumer_list::ConsumerList, queue::DurableQueue};
use tokio::sync::Semaphore;

use crate::{consumer_group::ConsumerGroup, status::Status};

/// What the routes share.
#[derive(Debug, Clone)]
pub(crate) struct AppState {
    list: ConsumerList,
    group: ConsumerGroup,
    capacity: usize,
    /// With `--queue stream` only.
    durable: Option<DurableQueue>,
    status: Status,
    /// Turns of those who publish.
    publishing: Arc<Semaphore>,
}

impl AppState {
    pub(crate) fn new(
        list: ConsumerList,
        group: ConsumerGroup,
        capacity: usize,
        durable: Option<DurableQueue>,
        status: Status,
    ) -> Self {
        Self {
            list,
            group,
            capacity,
            durable,
            status,
            publishing: Arc::new(Semaphore::new(messages::AT_ONCE)),
        }
    }
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
