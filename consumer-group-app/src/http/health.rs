//! `GET /health`: the process runs.

use axum::Json;
use protocol::http::{GROUP, HEALTH, MessageBody};

/// Whether the process runs.
///
/// It tells nothing about Redis or the consumers; a process that does not answer should be started
/// anew. The header `x-consumer-group` says that this is a group: no group takes it for a consumer.
#[utoipa::path(
    get, path = HEALTH, tag = "Health",
    responses((
        status = 200, description = "It runs.", body = MessageBody,
        example = json!({ "message": "Application is running" }),
    )),
)]
pub(super) async fn health() -> ([(&'static str, &'static str); 1], Json<MessageBody>) {
    let is_a_group = [(GROUP, env!("CARGO_PKG_NAME"))];
    (is_a_group, Json(MessageBody::running()))
}
