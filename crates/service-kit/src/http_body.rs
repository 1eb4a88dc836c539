//! Reading a JSON request body within bounds of size and time.

use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderMap, Request, StatusCode, header::CONTENT_TYPE},
};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::timeout;

use crate::api_error::ApiError;

/// How long a client may take to send a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// What a body holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonKind {
    /// One JSON text: `application/json`.
    One,
    /// One JSON text a line: `application/x-ndjson`.
    Lines,
}

/// Reads the body of a request that should carry one JSON text or many, of at most `limit` bytes.
///
/// # Errors
/// As [`read_json`].
pub async fn read_json_or_lines(
    request: Request<Body>,
    limit: usize,
) -> Result<(JsonKind, Bytes), ApiError> {
    let kind = match content_type(request.headers()) {
        Some(kind) if kind.eq_ignore_ascii_case("application/json") => JsonKind::One,
        Some(kind) if kind.eq_ignore_ascii_case("application/x-ndjson") => JsonKind::Lines,
        _ => {
            let why = "content type is neither application/json nor application/x-ndjson";
            return Err(ApiError::bad_request(why));
        }
    };
    Ok((kind, read(request, limit).await?))
}

/// Reads the body of a request that should carry JSON of at most `limit` bytes.
///
/// # Errors
/// 400 when the content type is not `application/json` or the body ends early, 408 when it takes
/// longer than 10 s, 413 when it is larger than `limit`.
pub async fn read_json(request: Request<Body>, limit: usize) -> Result<Bytes, ApiError> {
    let is_json = content_type(request.headers())
        .is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"));
    if !is_json {
        return Err(ApiError::bad_request(
            "content type is not application/json",
        ));
    }
    read(request, limit).await
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
    read(request, limit).await
}

async fn read(request: Request<Body>, limit: usize) -> Result<Bytes, ApiError> {
    let body = Limited::new(request.into_body(), limit);
    match timeout(BODY_TIMEOUT, body.collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("Body is larger than {limit} bytes."),
        )),
        Ok(Err(_)) => Err(ApiError::bad_request("body ended early")),
        Err(_) => Err(ApiError::new(
            StatusCode::REQUEST_TIMEOUT,
            "Body was not sent in time.".to_owned(),
        )),
    }
}

/// The content type without its parameters (RFC 9110, 8.3.1).
fn content_type(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next()?.trim())
}
