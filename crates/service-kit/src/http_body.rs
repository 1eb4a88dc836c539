//! Reading a JSON request body within bounds of size and time.

mod room;

use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderMap, Request, StatusCode, header::CONTENT_TYPE},
};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

pub use self::room::{Room, Share};
use crate::api_error::ApiError;

/// In each such time a client must send [`LEAST_BYTES`] of a body, or the end of it.
const WINDOW: Duration = Duration::from_secs(10);

/// The least that a client must send in [`WINDOW`]: 16 KiB a second.
const LEAST_BYTES: usize = 160 * 1024;

/// What a body holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonKind {
    /// One JSON text: `application/json`.
    One,
    /// One JSON text a line: `application/x-ndjson`.
    Lines,
}

/// A body, and the room it takes until this is dropped.
#[derive(Debug)]
pub struct Kept {
    /// The body.
    pub bytes: Bytes,
    _share: Share,
}

/// Reads the body of a request that should carry one JSON text or many, of at most `limit` bytes, as far as
/// there is `room`.
///
/// # Errors
/// As [`read_json`]; 503 when there is no room for it in time.
pub async fn read_json_or_lines(
    request: Request<Body>,
    limit: usize,
    room: &Room,
) -> Result<(JsonKind, Kept), ApiError> {
    let kind = match content_type(request.headers()) {
        Some(kind) if kind.eq_ignore_ascii_case("application/json") => JsonKind::One,
        Some(kind) if kind.eq_ignore_ascii_case("application/x-ndjson") => JsonKind::Lines,
        _ => {
            let why = "content type is neither application/json nor application/x-ndjson";
            return Err(ApiError::bad_request(why));
        }
    };
    let mut share = room.share();
    let bytes = read(request, limit, &mut share).await?;
    let kept = Kept {
        bytes,
        _share: share,
    };
    Ok((kind, kept))
}

/// Reads the body of a request that should carry JSON of at most `limit` bytes.
///
/// # Errors
/// 400 when the content type is not `application/json` or the body ends early, 408 when 10 s bring less than
/// 160 KiB of it and not its end, 413 when it is larger than `limit`.
pub async fn read_json(request: Request<Body>, limit: usize) -> Result<Bytes, ApiError> {
    let is_json = content_type(request.headers())
        .is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"));
    if !is_json {
        return Err(ApiError::bad_request(
            "content type is not application/json",
        ));
    }
    read(request, limit, &mut Share::default()).await
}

/// Reads the body of a request that should carry one JSON text a line, of at most `limit` bytes.
///
/// # Errors
/// 415 when the content type is not `application/x-ndjson`; else as [`read_json`].
pub async fn read_lines(request: Request<Body>, limit: usize) -> Result<Bytes, ApiError> {
    let is_lines = content_type(request.headers())
        .is_some_and(|kind| kind.eq_ignore_ascii_case("application/x-ndjson"));
    if !is_lines {
        let text = "Content type is not application/x-ndjson.".to_owned();
        return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
    }
    read(request, limit, &mut Share::default()).await
}

async fn read(request: Request<Body>, limit: usize, share: &mut Share) -> Result<Bytes, ApiError> {
    let mut body = request.into_body();
    // What comes in one piece is not copied.
    let (mut first, mut bytes) = (None, BytesMut::new());
    let (mut window_ends, mut in_window, mut read) = (Instant::now() + WINDOW, 0, 0);
    loop {
        let frame = match timeout_at(window_ends, body.frame()).await {
            Ok(None) => return Ok(first.unwrap_or_else(|| bytes.freeze())),
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(_))) => return Err(ApiError::bad_request("body ended early")),
            Err(_) if in_window < LEAST_BYTES => return Err(too_slow()),
            Err(_) => {
                (window_ends, in_window) = (Instant::now() + WINDOW, 0);
                continue;
            }
        };
        let Ok(piece) = frame.into_data() else {
            continue;
        };
        read += piece.len();
        in_window += piece.len();
        if read > limit {
            return Err(too_large(limit));
        }
        let came = Instant::now();
        share.grow(piece.len()).await?;
        // The client is not to blame for the time we took.
        window_ends += came.elapsed();
        if read == piece.len() {
            first = Some(piece);
        } else {
            bytes.extend(first.take());
            bytes.extend_from_slice(&piece);
        }
    }
}

fn too_large(limit: usize) -> ApiError {
    let text = format!("Body is larger than {limit} bytes.");
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, text)
}

fn too_slow() -> ApiError {
    let text = "Body was not sent in time.".to_owned();
    ApiError::new(StatusCode::REQUEST_TIMEOUT, text)
}

/// The content type without its parameters (RFC 9110, 8.3.1).
fn content_type(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next()?.trim())
}
