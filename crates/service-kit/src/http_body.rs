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

/// Reads the body of a request that should carry JSON of at most `limit` bytes.
///
/// # Errors
/// 400 when the content type is not `application/json` or the body ends early, 408 when it takes
/// longer than 10 s, 413 when it is larger than `limit`.
pub async fn read_json(request: Request<Body>, limit: usize) -> Result<Bytes, ApiError> {
    if !is_json(request.headers()) {
        return Err(ApiError::bad_request(
            "content type is not application/json",
        ));
    }
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

/// Whether the content type is `application/json`, whatever its parameters (RFC 9110, 8.3.1).
fn is_json(headers: &HeaderMap) -> bool {
    let Some(content_type) = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
    else {
        return false;
    };
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}
