//! `POST /processMessage`: read a message, process it, commit it, say so.

use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{Request, StatusCode},
};
use protocol::{Message, http::MessageBody, message::MAX_MESSAGE_BYTES};
use redis_bus::Added;
use service_kit::{api_error::ApiError, http_body::read_json};
use tracing::debug;

use super::AppState;
use crate::{Processor, sink::CommitError};

const FAILED: &str = "Failed to process message!";

/// When to come again with a message that could not be stored.
const STORE_AGAIN_SECONDS: u64 = 1;

pub(super) async fn process_message<P: Processor>(
    State(state): State<Arc<AppState<P>>>,
    request: Request<Body>,
) -> Result<Json<MessageBody>, ApiError> {
    let _under_way = state.admission.admit()?;
    let body = read_json(request, MAX_MESSAGE_BYTES).await?;
    let message =
        Message::parse(body).map_err(|error| ApiError::bad_request(&error.to_string()))?;
    let id = message.id().clone();
    let processed = state.processing.run(message).await;
    let processed = processed.map_err(|error| ApiError::internal(FAILED, &*error))?;
    let added = match state.sink.commit(&processed, None).await {
        Ok(added) => added,
        Err(error @ CommitError::TooManyFields) => {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            return Err(ApiError::new(status, error.to_string()));
        }
        // The work is done and only Redis does not take it: soon it may.
        Err(error @ CommitError::Bus(_)) => {
            return Err(ApiError::internal(FAILED, &error).retry_after(STORE_AGAIN_SECONDS));
        }
        Err(error) => return Err(ApiError::internal(FAILED, &error)),
    };
    debug!(message.id = %id, ?added, "processed");
    Ok(Json(match added {
        Added::Created => MessageBody::processed(&id),
        Added::Duplicate => MessageBody::duplicate(&id),
    }))
}
