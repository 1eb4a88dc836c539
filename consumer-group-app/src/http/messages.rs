//! `POST /messages`: publishing without loss.

use std::time::Duration;

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{Request, StatusCode},
};
use bytes::Bytes;
use protocol::{
    Message,
    http::{MAX_PUBLISH_BODY_BYTES, MESSAGES, Published},
    schemas::MessageLines,
};
use redis_bus::Added;
use service_kit::{
    api_docs::responses::{BadBody, Failure},
    api_error::{ApiError, ErrorBody},
    http_body::{JsonKind, read_json_or_lines},
};
use tokio::time::timeout;

use super::AppState;

/// How many requests are read and published at once: each may take [`MAX_PUBLISH_BODY_BYTES`] of memory.
pub(super) const AT_ONCE: usize = 16;

/// When to come again with what found no turn.
const PUBLISH_AGAIN_SECONDS: u64 = 1;

/// How long a request waits for its turn.
const TURN_TIMEOUT: Duration = Duration::from_secs(10);

/// Publish messages to the durable queue.
///
/// 202 once all messages are in the durable queue. Nothing is taken unless every one is a message.
/// After any other answer the same messages can be sent again: those taken already are duplicates then.
///
/// A body is 16 MiB at most; one line that is no message is named in the 400.
#[utoipa::path(
    post, path = MESSAGES, tag = "Messages",
    request_body(content(
        (Message = "application/json"),
        (MessageLines = "application/x-ndjson", example = json!("{\"message_id\":\"order-7\"}\n{\"message_id\":\"order-8\"}\n")),
    )),
    responses(
        (
            status = 202, description = "All of them are in the queue.", body = Published,
            example = json!({ "created": 2, "duplicate": 0 }),
        ),
        BadBody,
        (
            status = 409, description = "This group runs with `--queue memory`.", body = ErrorBody,
        ),
        Failure,
        (
            status = 503, description = "Too much is being published at once.", body = ErrorBody,
            headers(("Retry-After" = u64, description = "When to try again, in seconds.")),
        ),
    ),
)]
pub(super) async fn publish(
    State(state): State<AppState>,
    request: Request<Body>,
) -> Result<(StatusCode, Json<Published>), ApiError> {
    const FAILED: &str = "Failed to publish!";
    let Some(queue) = &state.durable else {
        return Err(ApiError::new(
            StatusCode::CONFLICT,
            "This group keeps messages in memory and cannot promise to keep them: start it with \
             --queue stream, or publish to its channel in Redis."
                .to_owned(),
        ));
    };
    let turn = timeout(TURN_TIMEOUT, state.publishing.0.acquire()).await;
    let Ok(Ok(_turn)) = turn else {
        let text = "Too much is being published at once; try again.".to_owned();
        let busy = ApiError::new(StatusCode::SERVICE_UNAVAILABLE, text);
        return Err(busy.retry_after(PUBLISH_AGAIN_SECONDS));
    };
    let (kind, body) = read_json_or_lines(request, MAX_PUBLISH_BODY_BYTES).await?;
    let messages = match kind {
        JsonKind::One => vec![parse(body, None)?],
        JsonKind::Lines => parse_lines(&body)?,
    };
    let mut published = Published::default();
    for added in queue.enqueue(&messages).await {
        match added.map_err(|error| ApiError::internal(FAILED, &error))? {
            Added::Created => published.created += 1,
            Added::Duplicate => published.duplicate += 1,
        }
    }
    Ok((StatusCode::ACCEPTED, Json(published)))
}

fn parse_lines(body: &Bytes) -> Result<Vec<Message>, ApiError> {
    let lines = body.split(|byte| *byte == b'\n').enumerate();
    let filled = lines.filter(|(_, line)| !line.trim_ascii().is_empty());
    filled
        .map(|(number, line)| parse(body.slice_ref(line), Some(number + 1)))
        .collect()
}

fn parse(body: Bytes, line: Option<usize>) -> Result<Message, ApiError> {
    Message::parse(body).map_err(|error| match line {
        Some(number) => ApiError::bad_request(&format!("line {number}: {error}")),
        None => ApiError::bad_request(&error.to_string()),
    })
}
