//! `GET /health`: the process runs.

use axum::Json;
use protocol::http::MessageBody;

pub(super) async fn health() -> Json<MessageBody> {
    Json(MessageBody::running())
}
