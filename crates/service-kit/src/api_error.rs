//! The one error answer of the REST APIs: `{"error":"…"}` with a status.

mod reference;

use std::{any::Any, error::Error};

use axum::{
    Json,
    http::{StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{escape::escaped, telemetry::chain};

/// What every call that went wrong answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ErrorBody {
    /// What went wrong, in words that give nothing away of the inside.
    pub error: String,
    /// Why, where that is the caller's business.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// An error as a client sees it. What is inside stays inside: see [`ApiError::internal`].
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    text: String,
    reason: Option<String>,
    retry_after_seconds: Option<u64>,
}

impl ApiError {
    /// An error with a status and a text for the client, who may be at a terminal: harmful characters become escapes.
    #[must_use]
    pub fn new(status: StatusCode, text: String) -> Self {
        Self {
            status,
            text: escaped(text),
            reason: None,
            retry_after_seconds: None,
        }
    }

    /// The same with `Retry-After`: the request is fine, and will be later (RFC 9110, 10.2.3).
    #[must_use]
    pub fn retry_after(self, seconds: u64) -> Self {
        Self {
            retry_after_seconds: Some(seconds),
            ..self
        }
    }

    /// The same with the reason, for whoever may do something about it.
    #[must_use]
    pub fn because(self, reason: String) -> Self {
        Self {
            reason: Some(escaped(reason)),
            ..self
        }
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// What a client is told.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What `Retry-After` says, in seconds.
    #[must_use]
    pub fn retry_after_seconds(&self) -> Option<u64> {
        self.retry_after_seconds
    }

    /// 400, with what is wrong with the request.
    #[must_use]
    pub fn bad_request(why: &str) -> Self {
        let text = format!("Provided data does not match requirements. Reason: {why}");
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    /// 404 for a path that does not exist.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "There is nothing at this path.".to_owned(),
        )
    }

    /// 405 for a path that exists, with another method.
    #[must_use]
    pub fn method_not_allowed() -> Self {
        let text = "This path does not take this method.".to_owned();
        Self::new(StatusCode::METHOD_NOT_ALLOWED, text)
    }

    /// 500 with a reference; the cause is logged beside that reference and not told. Answers with the same
    /// cause share a reference for 10 s, and a line in the log.
    ///
    /// `what` is a sentence of its own, such as `Failed to register consumer!`.
    #[must_use]
    pub fn internal(what: &str, cause: &(dyn Error + 'static)) -> Self {
        Self::with_reference(what, &chain(cause))
    }

    /// The same with 503 and `Retry-After`: what the request needs is away, and will be back.
    #[must_use]
    pub fn unavailable(what: &str, cause: &(dyn Error + 'static), again_seconds: u64) -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let error = Self::internal(what, cause).retry_after(again_seconds);
        Self { status, ..error }
    }

    /// The answer to a request whose handler panicked.
    pub(crate) fn panicked(panic: Box<dyn Any + Send>) -> Response {
        let cause = match panic.downcast::<String>() {
            Ok(text) => *text,
            Err(panic) => match panic.downcast::<&str>() {
                Ok(text) => (*text).to_owned(),
                Err(_) => "a panic without text".to_owned(),
            },
        };
        Self::with_reference("Failed to answer!", &cause).into_response()
    }

    fn with_reference(what: &str, cause: &str) -> Self {
        let reference = reference::reference(what, cause);
        let text = format!("{what} Use Ref for details: {reference}");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, text)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = ErrorBody {
            error: self.text,
            reason: self.reason,
        };
        let mut response = (self.status, Json(body)).into_response();
        if let Some(seconds) = self.retry_after_seconds {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}
