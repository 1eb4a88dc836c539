//! `POST /messages`: publishing without loss.

use std::{error::Error, sync::Arc, time::Duration};

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
use service_kit::{
    api_docs::responses::{BadBody, Failure},
    api_error::{ApiError, ErrorBody},
    http_body::{JsonKind, Room, read_json_or_lines},
};
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    task::yield_now,
    time::timeout,
};

use super::AppState;
use crate::intake::Publish;

/// How many requests are published at once, once their bodies are there.
const AT_ONCE: usize = 16;

/// How many bytes of bodies there may be at once (64 MiB), and one body more.
const ROOM_BYTES: usize = 4 * MAX_PUBLISH_BODY_BYTES;

/// How many lines are looked at before others get a turn, and how many messages there are at once of a body.
const PIECE: usize = 512;

/// When to come again with what found no turn.
const PUBLISH_AGAIN_SECONDS: u64 = 1;

/// How long a request waits for its turn.
const TURN_TIMEOUT: Duration = Duration::from_secs(10);

/// The bounds of those who publish over HTTP; clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Publishing {
    turns: Arc<Semaphore>,
    room: Room,
    /// Where messages are admitted.
    admission: mpsc::Sender<Publish>,
}

impl Publishing {
    pub(crate) fn new(admission: mpsc::Sender<Publish>) -> Self {
        Self {
            admission,
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            room: Room::for_bytes(ROOM_BYTES),
        }
    }
}

/// Publish messages to the queue.
///
/// 202 once all messages are in the queue. Nothing is taken unless every one is a message.
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
    let Publishing {
        turns,
        room,
        admission,
    } = &state.publishing;
    let (kind, body) = read_json_or_lines(request, MAX_PUBLISH_BODY_BYTES, room).await?;
    let turn = timeout(TURN_TIMEOUT, turns.acquire()).await;
    let Ok(Ok(_turn)) = turn else {
        let text = "Too much is being published at once; try again.".to_owned();
        let busy = ApiError::new(StatusCode::SERVICE_UNAVAILABLE, text);
        return Err(busy.retry_after(PUBLISH_AGAIN_SECONDS));
    };
    let mut published = Published::default();
    match kind {
        JsonKind::One => {
            let message = parse(body.bytes.clone(), None)?;
            add(admission, vec![message], &mut published).await?;
        }
        JsonKind::Lines => {
            check_lines(&body.bytes).await?;
            let mut messages = messages(&body.bytes);
            loop {
                let piece: Vec<_> = messages.by_ref().take(PIECE).collect::<Result<_, _>>()?;
                if piece.is_empty() {
                    break;
                }
                add(admission, piece, &mut published).await?;
            }
        }
    }
    Ok((StatusCode::ACCEPTED, Json(published)))
}

async fn add(
    admission: &mpsc::Sender<Publish>,
    messages: Vec<Message>,
    published: &mut Published,
) -> Result<(), ApiError> {
    let (done, answer) = oneshot::channel();
    // An error means that admission has ended, and so does an answer that never comes.
    drop(admission.send(Publish { messages, done }).await);
    let admitted = match answer.await {
        Ok(admitted) => admitted.map_err(|cause| failed(&cause))?,
        Err(cause) => return Err(failed(&cause)),
    };
    published.created += admitted.created;
    published.duplicate += admitted.duplicate;
    Ok(())
}

fn failed(cause: &(dyn Error + 'static)) -> ApiError {
    ApiError::internal("Failed to publish!", cause)
}

/// Checks that every line is a message. None is kept: tiny ones take several times the memory of their text.
async fn check_lines(body: &Bytes) -> Result<(), ApiError> {
    for (place, message) in messages(body).enumerate() {
        message?;
        if place % PIECE == PIECE - 1 {
            yield_now().await;
        }
    }
    Ok(())
}

/// The messages in the lines that are not empty.
fn messages(body: &Bytes) -> impl Iterator<Item = Result<Message, ApiError>> {
    let lines = body.split(|byte| *byte == b'\n').enumerate();
    let filled = lines.filter(|(_, line)| !line.trim_ascii().is_empty());
    filled.map(|(number, line)| parse(body.slice_ref(line), Some(number + 1)))
}

fn parse(body: Bytes, line: Option<usize>) -> Result<Message, ApiError> {
    Message::parse(body).map_err(|error| match line {
        Some(number) => ApiError::bad_request(&format!("line {number}: {error}")),
        None => ApiError::bad_request(&error.to_string()),
    })
}
