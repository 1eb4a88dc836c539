//! `GET /health`: 200 while working, 503 while draining.

use axum::{Json, extract::State};
use protocol::http::MessageBody;
use service_kit::api_error::ApiError;

use super::{Admission, draining};

pub(super) async fn health(
    State(admission): State<Admission>,
) -> Result<Json<MessageBody>, ApiError> {
    if admission.is_closed() {
        Err(draining())
    } else {
        Ok(Json(MessageBody::running()))
    }
}
