//! `GET /deadLetters` and `POST /deadLetters/replay`: what was given up, and another chance for it.

pub(super) mod replay;

use axum::{
    Json,
    extract::rejection::QueryRejection,
    extract::{Query, State},
};
use bytes::Bytes;
use protocol::{dead_letter::field, http::DEAD_LETTERS, message::MESSAGE_ID};
use redis_bus::dead_letters::StoredLetter;
use serde::{Deserialize, Serialize};
use service_kit::{
    api_docs::responses::Failure,
    api_error::{ApiError, ErrorBody},
};
use utoipa::ToSchema;

use super::AppState;

/// How many letters a page has, unless asked for fewer or more, and at the most.
const PAGE: usize = 20;
const MOST: usize = 100;

/// How many bytes of a payload are told.
const PAYLOAD_BYTES: usize = 4096;

/// What to list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Range {
    limit: Option<String>,
    /// Only letters before this entry.
    before: Option<String>,
}

/// The answer: letters, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Listed {
    letters: Vec<Letter>,
}

/// One letter.
#[derive(Debug, Serialize, ToSchema)]
struct Letter {
    /// Its entry in the stream.
    id: String,
    #[schema(required = true)]
    message_id: Option<String>,
    reason: String,
    attempts: String,
    last_error: String,
    failed_at: String,
    /// The payload, or the start of it; what is no text is shown as U+FFFD.
    payload: String,
    /// How long it was as published.
    payload_bytes: String,
    /// Whether `payload` is not all of it.
    is_cut: bool,
}

impl From<StoredLetter> for Letter {
    fn from(letter: StoredLetter) -> Self {
        let payload_bytes = letter.text(field::PAYLOAD_BYTES);
        let kept = letter.field(field::PAYLOAD).map_or(0, Bytes::len);
        Self {
            message_id: letter.field(MESSAGE_ID).map(|_| letter.text(MESSAGE_ID)),
            reason: letter.text(field::REASON),
            attempts: letter.text(field::ATTEMPTS),
            last_error: letter.text(field::LAST_ERROR),
            failed_at: letter.text(field::FAILED_AT),
            payload: letter.text(field::PAYLOAD),
            is_cut: payload_bytes != kept.to_string(),
            payload_bytes,
            id: letter.entry,
        }
    }
}

/// Whether this is the id of an entry of a stream: two numbers.
fn is_entry(id: &str) -> bool {
    id.split_once('-')
        .is_some_and(|(time, number)| time.parse::<u64>().is_ok() && number.parse::<u64>().is_ok())
}

/// Whether no entry can come before this one.
fn is_first(id: &str) -> bool {
    id.bytes().all(|byte| matches!(byte, b'0' | b'-'))
}

/// The dead letters, the newest first.
#[utoipa::path(
    get, path = DEAD_LETTERS, tag = "Dead letters",
    params(
        (
            "limit" = Option<usize>, Query, minimum = 1, maximum = 100,
            description = "How many letters; 20 unless said.",
        ),
        (
            "before" = Option<String>, Query, pattern = "^[0-9]{1,19}-[0-9]{1,19}$",
            description = "Only letters before this entry.",
        ),
    ),
    responses(
        (status = 200, description = "A page of them.", body = Listed),
        (
            status = 400, description = "The query is not what this call takes; the text says why.",
            body = ErrorBody,
        ),
        Failure,
    ),
)]
pub(super) async fn list(
    State(state): State<AppState>,
    range: Result<Query<Range>, QueryRejection>,
) -> Result<Json<Listed>, ApiError> {
    const FAILED: &str = "Failed to read the dead letters!";
    let Query(range) = range.map_err(|error| ApiError::bad_request(&error.body_text()))?;
    let limit = range.limit.map_or(Some(PAGE), |limit| limit.parse().ok());
    let limit = limit.filter(|limit| (1..=MOST).contains(limit));
    let limit = limit.ok_or_else(|| ApiError::bad_request(&format!("limit is not 1 to {MOST}")))?;
    if range
        .before
        .as_deref()
        .is_some_and(|before| !is_entry(before))
    {
        return Err(ApiError::bad_request("before is no id of an entry"));
    }
    // Redis knows no interval that ends before its first possible entry.
    if range.before.as_deref().is_some_and(is_first) {
        return Ok(Json(Listed {
            letters: Vec::new(),
        }));
    }
    let letters = &state.dashboard.letters;
    let letters = letters
        .newest(range.before.as_deref(), limit, PAYLOAD_BYTES)
        .await;
    let letters = letters.map_err(|error| ApiError::internal(FAILED, &error))?;
    Ok(Json(Listed {
        letters: letters.into_iter().map(Letter::from).collect(),
    }))
}
