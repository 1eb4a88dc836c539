//! `GET /status`: the account, the consumers, and since when.

use axum::{Json, extract::State};
use service_kit::api_error::ApiError;

use super::AppState;
use crate::status::StatusBody;

pub(super) async fn status(State(state): State<AppState>) -> Result<Json<StatusBody>, ApiError> {
    const FAILED: &str = "Failed to read the status!";
    let status = state.status.read().await;
    status
        .map(Json)
        .map_err(|error| ApiError::internal(FAILED, &error))
}
