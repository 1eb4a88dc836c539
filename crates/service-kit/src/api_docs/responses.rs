//! Error answers that several routes have in common, as they stand in the description.

use utoipa::IntoResponses;

use crate::api_error::ErrorBody;

/// How the reading of a JSON body can fail; see [`crate::http_body`].
#[derive(Debug, IntoResponses)]
pub enum BadBody {
    /// The request is not what this call takes; the text says why.
    #[response(status = 400, example = json!({
        "error": "Provided data does not match requirements. Reason: body ended early"
    }))]
    BadRequest(ErrorBody),
    /// The body was not sent within 10 s.
    #[response(status = 408, example = json!({ "error": "Body was not sent in time." }))]
    Timeout(ErrorBody),
    /// The body is larger than this call takes.
    #[response(status = 413, example = json!({ "error": "Body is larger than 1048576 bytes." }))]
    TooLarge(ErrorBody),
}

/// The service failed; see [`crate::api_error::ApiError::internal`].
#[derive(Debug, IntoResponses)]
pub enum Failure {
    /// The service failed, such as for want of Redis. The cause stands in its log beside the Ref,
    /// and is not told.
    #[response(status = 500, example = json!({
        "error": "Failed to answer! Use Ref for details: 5b8f2f0e-5a3c-4b0e-9f0a-2f6c1d7e8a90"
    }))]
    Internal(ErrorBody),
}
