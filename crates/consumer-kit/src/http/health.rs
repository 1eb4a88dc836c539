//! `GET /health`: 200 while working, 503 while draining.

use axum::{Json, extract::State};
use protocol::http::{ConsumerHealth, MessageBody};
use service_kit::api_error::ApiError;

use super::{Admission, draining};

/// What a consumer says of itself.
#[derive(Debug, Clone)]
pub(super) struct Health {
    pub(super) admission: Admission,
    /// As in [`ConsumerHealth`].
    pub(super) max_batch: Option<u32>,
}

pub(super) async fn health(State(health): State<Health>) -> Result<Json<ConsumerHealth>, ApiError> {
    if health.admission.is_closed() {
        return Err(draining());
    }
    Ok(Json(ConsumerHealth {
        message: MessageBody::running().message,
        max_batch: health.max_batch,
    }))
}
