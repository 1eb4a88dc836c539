//! `GET /health`: 200 while working, 503 while draining.

use std::sync::Arc;

use axum::{Json, extract::State};
use protocol::http::MessageBody;
use service_kit::api_error::ApiError;

use super::{AppState, draining};
use crate::Processor;

pub(super) async fn health<P: Processor>(
    State(state): State<Arc<AppState<P>>>,
) -> Result<Json<MessageBody>, ApiError> {
    if state.admission.is_closed() {
        Err(draining())
    } else {
        Ok(Json(MessageBody::running()))
    }
}
