//! `POST /messages/lease`, `/messages/settle` and `/messages/extend`: for workers that fetch their messages.

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{Request, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use protocol::http::leases::{
    EXTEND, ExtendRequest, LEASE, LeaseRequest, LeaseResults, LeasedMessages, MAX_LEASES, SETTLE,
    SettleRequest, SettleSchema,
};
use serde::Deserialize;
use service_kit::{
    api_docs::responses::{BadBody, Failure},
    api_error::{ApiError, ErrorBody},
    http_body::{JsonKind, Room, read_json, read_json_or_lines},
};

use super::AppState;
use crate::leasing::{CameTo, LeaseError, Leased};

/// The largest body of `/messages/lease` and `/messages/extend`, in bytes.
const MAX_BODY_BYTES: usize = 256 * 1024;

/// The largest body of `/messages/settle`, in bytes (16 MiB).
const MAX_SETTLE_BODY_BYTES: usize = 16 << 20;

/// How many bytes of such bodies there may be at once (64 MiB), and one body more.
const ROOM_BYTES: usize = 4 * MAX_SETTLE_BODY_BYTES;

/// When to come again when Redis does not answer, or too many wait.
const AGAIN_SECONDS: u64 = 1;

/// The room of what is settled.
pub(crate) fn settling_room() -> Room {
    Room::for_bytes(ROOM_BYTES)
}

/// Fetch messages.
///
/// Waits until there are some, for `wait_seconds` at the most, and answers with those that are there: none also then.
/// They are the worker's for `lease_seconds`. What is not settled by then goes to another, and counts as an attempt.
#[utoipa::path(
    post, path = LEASE, tag = "Messages", request_body = LeaseRequest,
    responses(
        (status = 200, description = "What it got.", body = LeasedMessages),
        BadBody,
        Failure,
        (
            status = 503,
            description = "Too many workers wait for messages, or Redis does not answer. Nothing is leased.",
            body = ErrorBody,
            headers(("Retry-After" = u64, description = "When to try again, in seconds.")),
        ),
    ),
)]
pub(super) async fn lease(
    State(state): State<AppState>,
    request: Request<Body>,
) -> Result<Response, ApiError> {
    let body = read_json(request, MAX_BODY_BYTES).await?;
    let request: LeaseRequest = parse(&body)?;
    let leased = state.leasing.lease(request).await;
    let leased = leased.map_err(|cause| match cause {
        LeaseError::TooMany => busy("Too many workers wait for messages; try again."),
        LeaseError::Queue(cause) => {
            ApiError::internal("Failed to lease messages!", &cause).retry_after(AGAIN_SECONDS)
        }
    })?;
    Ok((
        [(CONTENT_TYPE, "application/json")],
        leased_messages(&leased),
    )
        .into_response())
}

/// The answer: messages are JSON already.
fn leased_messages(leased: &[Leased]) -> Vec<u8> {
    let bytes: usize = leased.iter().map(|one| one.body.len() + 128).sum();
    let mut json = Vec::with_capacity(bytes + 32);
    json.extend_from_slice(b"{\"messages\":[");
    for (place, one) in leased.iter().enumerate() {
        if place > 0 {
            json.push(b',');
        }
        let head = format!("{{\"lease\":\"{}\",\"message\":", one.token);
        json.extend_from_slice(head.as_bytes());
        json.extend_from_slice(
            one.body
                .strip_prefix("\u{feff}".as_bytes())
                .unwrap_or(&one.body),
        );
        json.push(b'}');
    }
    json.extend_from_slice(b"]}");
    json
}

/// Settle fetched messages.
///
/// An outcome says what `POST /processMessage` of a worker would have answered: with 200, which may be left out, the
/// message is done, and `entry` is recorded; 422 makes it a dead letter; 500 with `retry_after` puts it off; 500
/// alone is a failure. What is answered with 200 is recorded.
#[utoipa::path(
    post, path = SETTLE, tag = "Messages", request_body = SettleSchema,
    responses(
        (
            status = 200, description = "What became of each, in order.", body = LeaseResults,
            example = json!({ "results": [
                { "status": 200 },
                { "status": 409, "error": "the lease has ended, or its message was settled" },
            ] }),
        ),
        BadBody,
        Failure,
        (
            status = 503, description = "Too much is being settled at once; nothing was.", body = ErrorBody,
            headers(("Retry-After" = u64, description = "When to try again, in seconds.")),
        ),
    ),
)]
pub(super) async fn settle(
    State(state): State<AppState>,
    request: Request<Body>,
) -> Result<Json<LeaseResults>, ApiError> {
    let read = read_json_or_lines(request, MAX_SETTLE_BODY_BYTES, &state.settling_room);
    let (JsonKind::One, body) = read.await? else {
        let why = "content type is not application/json";
        return Err(ApiError::bad_request(why));
    };
    let SettleRequest { outcomes } = parse(&body.bytes)?;
    expect_few(outcomes.len(), "outcomes")?;
    let read = |(place, json): (usize, &serde_json::value::RawValue)| {
        let why = |cause| ApiError::bad_request(&format!("outcome {place}: {cause}"));
        CameTo::read(json.get()).map_err(why)
    };
    let came_to = outcomes.into_iter().enumerate().map(read);
    let came_to = came_to.collect::<Result<Vec<_>, _>>()?;
    let results = state.leasing.settle(came_to).await;
    Ok(Json(LeaseResults { results }))
}

/// Keep fetched messages for longer.
///
/// The leases last for `lease_seconds` from now on, also less than before.
#[utoipa::path(
    post, path = EXTEND, tag = "Messages", request_body = ExtendRequest,
    responses(
        (
            status = 200, description = "Whether each is still the worker's, in order.", body = LeaseResults,
            example = json!({ "results": [{ "status": 200 }] }),
        ),
        BadBody,
        Failure,
    ),
)]
pub(super) async fn extend(
    State(state): State<AppState>,
    request: Request<Body>,
) -> Result<Json<LeaseResults>, ApiError> {
    let body = read_json(request, MAX_BODY_BYTES).await?;
    let ExtendRequest { leases, lasts } = parse(&body)?;
    expect_few(leases.len(), "leases")?;
    let results = state.leasing.extend(leases, lasts).await;
    let results = results.map_err(|cause| {
        ApiError::internal("Failed to extend leases!", &cause).retry_after(AGAIN_SECONDS)
    })?;
    Ok(Json(LeaseResults { results }))
}

fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| ApiError::bad_request(&error.to_string()))
}

fn expect_few(count: usize, what: &str) -> Result<(), ApiError> {
    if count > MAX_LEASES {
        let why = format!("{count} {what}, and one request may have {MAX_LEASES}");
        return Err(ApiError::bad_request(&why));
    }
    Ok(())
}

fn busy(text: &str) -> ApiError {
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, text.to_owned()).retry_after(AGAIN_SECONDS)
}
