//! `GET /health`: 200 while working, 503 while draining.

use std::num::NonZeroU32;

use axum::{Json, extract::State};
use protocol::http::{ConsumerHealth, HEALTH, MessageBody};
use service_kit::api_error::{ApiError, ErrorBody};

use super::{Admission, draining};

/// What a consumer says of itself.
#[derive(Debug, Clone)]
pub(super) struct Health {
    pub(super) admission: Admission,
    /// As in [`ConsumerHealth`].
    pub(super) max_batch: Option<u32>,
    /// As in [`ConsumerHealth`].
    pub(super) concurrency: Option<NonZeroU32>,
}

/// Whether this consumer runs, and how many messages it takes at once.
#[utoipa::path(
    get, path = HEALTH, tag = "Health",
    responses(
        (
            status = 200, description = "It runs.", body = ConsumerHealth,
            example = json!({ "message": "Application is running", "max_batch": 512, "concurrency": 8 }),
        ),
        (
            status = 503, description = "It finishes its work and ends.", body = ErrorBody,
            example = json!({ "error": "This consumer is shutting down." }),
        ),
    ),
)]
pub(super) async fn health(State(health): State<Health>) -> Result<Json<ConsumerHealth>, ApiError> {
    if health.admission.is_closed() {
        return Err(draining());
    }
    Ok(Json(ConsumerHealth {
        message: MessageBody::running().message,
        max_batch: health.max_batch,
        concurrency: health.concurrency,
    }))
}
