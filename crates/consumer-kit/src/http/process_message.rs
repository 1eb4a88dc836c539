//! `POST /processMessage`: read a message, process it, commit it, say so.

use std::{sync::Arc, time::Instant};

use axum::{
    body::Body,
    extract::State,
    http::{Request, StatusCode},
};
use bytes::Bytes;
use protocol::{
    Message,
    http::{MessageBody, PROCESS_MESSAGE},
    message::MAX_MESSAGE_BYTES,
};
use redis_bus::Added;
use service_kit::{
    api_docs::responses::BadBody,
    api_error::{ApiError, ErrorBody},
    http_body::read_json,
};
use tracing::debug;

use super::{
    AppState,
    positions::stands,
    worked::{Worked, worked},
};
use crate::{
    ProcessError, Processor,
    sink::{CommitError, Stands},
    spans,
    worker::seconds,
};

const FAILED: &str = "Failed to process message!";

/// When to come again with a message that could not be stored.
const STORE_AGAIN_SECONDS: u64 = 1;

/// Process one message and commit it.
///
/// 200 with `"result":"duplicate"` for a message that is recorded already: nothing is recorded again.
///
/// The header `queue-positions` may say where the message stands in the queue; docs/workers.md has
/// its form.
#[utoipa::path(
    post, path = PROCESS_MESSAGE, tag = "Messages", request_body = Message,
    responses(
        (
            status = 200, description = "It is processed and recorded.", body = MessageBody,
            headers(("Server-Timing" = String, description = "How long the work took: `work;dur=0.42`, in ms.")),
            example = json!({ "message": "Message with id order-7 was processed successfully." }),
        ),
        BadBody,
        (
            status = 412,
            description = "The queue knows nothing of the position that the header names. Nothing is recorded.",
            body = ErrorBody,
        ),
        (
            status = 422,
            description = "It is at fault: the processor rejects it, for the reason in `error`, or it has too many \
                properties to be recorded.",
            body = ErrorBody, example = json!({ "error": "nothing is ordered" }),
        ),
        (
            status = 500,
            description = "It was not processed. The cause stands in the log of this consumer beside the Ref. With \
                `Retry-After` nothing failed: the processor wants this message again later.",
            body = ErrorBody,
            headers(("Retry-After" = u64, description = "When to come again, in seconds.")),
        ),
        (
            status = 503,
            description = "This consumer finishes its work and ends; or, with `Retry-After`, Redis does not take \
                what it processed.",
            body = ErrorBody,
            headers(("Retry-After" = u64, description = "When to come again, in seconds.")),
            example = json!({ "error": "This consumer is shutting down." }),
        ),
    ),
)]
pub(super) async fn process_message<P: Processor>(
    State(state): State<Arc<AppState<P>>>,
    request: Request<Body>,
) -> Result<Worked<MessageBody>, ApiError> {
    let _under_way = state.admission.admit()?;
    let _timed = state.processing.metrics().work_seconds.start_timer();
    let sender = spans::sender(request.headers());
    let stands = stands(request.headers(), 1)?.pop().flatten();
    state.sink.look_for_queue(stands.as_ref()).await;
    let body = read_json(request, MAX_MESSAGE_BYTES).await?;
    let message = parse(body)?;
    let span = state.processing.span(&message, sender);
    let answer = process(&state, message, stands).await;
    if let Err(error) = &answer {
        spans::fail(span, error.text());
    }
    answer
}

async fn process<P: Processor>(
    state: &AppState<P>,
    message: Message,
    stands: Option<Stands>,
) -> Result<Worked<MessageBody>, ApiError> {
    let id = message.id().clone();
    let begun = Instant::now();
    let processed = state.processing.run(message).await;
    let work = begun.elapsed();
    let processed = processed.map_err(|error| not_processed(&error))?;
    let committed = state.sink.commit(&processed, stands).await;
    let committed = committed.map_err(|error| not_committed(&error))?;
    debug!(message.id = %id, ?committed, "processed");
    let body = match committed.added {
        Added::Created => MessageBody::processed(&id),
        Added::Duplicate => MessageBody::duplicate(&id),
    };
    Ok(worked(work, body.settled(committed.is_settled)))
}

/// The message in a body, or in a line of one.
pub(super) fn parse(body: Bytes) -> Result<Message, ApiError> {
    Message::parse(body).map_err(|error| ApiError::bad_request(&error.to_string()))
}

/// The answer to a message that was not processed.
pub(super) fn not_processed(error: &ProcessError) -> ApiError {
    match error {
        ProcessError::Rejected(reason) => {
            ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, reason.clone())
        }
        ProcessError::RetryAfter(wait) => {
            // Rounded up, so that nothing comes again too early.
            let text = error.to_string();
            ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, text).retry_after(seconds(*wait))
        }
        ProcessError::Failed(cause) => ApiError::internal(FAILED, &**cause),
    }
}

/// The answer to a message that was processed and not committed.
pub(super) fn not_committed(error: &CommitError) -> ApiError {
    match error {
        CommitError::TooManyFields { .. } => {
            ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string())
        }
        // The work is done and only Redis does not take it: soon it may, and until then it takes no other either.
        CommitError::Bus(_) => ApiError::unavailable(FAILED, error, STORE_AGAIN_SECONDS),
        CommitError::UnknownPosition => {
            ApiError::new(StatusCode::PRECONDITION_FAILED, error.to_string())
        }
        CommitError::Encode(_) | CommitError::Queue(_) | CommitError::Ended => {
            ApiError::internal(FAILED, error)
        }
    }
}
