//! `GET /health`: the process runs.

use axum::Json;
use protocol::http::{HEALTH, MessageBody};

/// Whether the process runs.
///
/// It tells nothing about Redis or the consumers; a process that does not answer should be started
/// anew.
#[utoipa::path(
    get, path = HEALTH, tag = "Health",
    responses((
        status = 200, description = "It runs.", body = MessageBody,
        example = json!({ "message": "Application is running" }),
    )),
)]
pub(super) async fn health() -> Json<MessageBody> {
    Json(MessageBody::running())
}
