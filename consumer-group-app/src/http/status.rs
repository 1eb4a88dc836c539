//! `GET /status`: the account, the consumers, and since when.

use axum::{Json, extract::State};
use protocol::http::STATUS;
use service_kit::{api_docs::responses::Failure, api_error::ApiError};

use super::AppState;
use crate::observe::status::StatusBody;

/// The account of all messages, and the consumers.
#[utoipa::path(
    get, path = STATUS, tag = "Health",
    responses((status = 200, description = "As it is now.", body = StatusBody), Failure),
)]
pub(super) async fn status(State(state): State<AppState>) -> Result<Json<StatusBody>, ApiError> {
    const FAILED: &str = "Failed to read the status!";
    let status = state.status.read().await;
    status
        .map(Json)
        .map_err(|error| ApiError::internal(FAILED, &error))
}
