//! `GET /ready`: whether work should be sent here now, and if not, why.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

/// The answer of `GET /ready`: 200 `{"ready":true,"reasons":[]}`, or 503 with the reasons.
///
/// Kubernetes keeps a pod that answers 503 out of its services and lets it be; `/health` tells
/// whether it should be started anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Readiness {
    /// Whether there is no reason against it.
    pub ready: bool,
    /// Each thing that is missing, in words.
    pub reasons: Vec<String>,
}

impl Readiness {
    /// Ready, unless there are reasons against it.
    #[must_use]
    pub fn unless(reasons: Vec<String>) -> Self {
        let ready = reasons.is_empty();
        Self { ready, reasons }
    }
}

impl IntoResponse for Readiness {
    fn into_response(self) -> Response {
        let status = if self.ready {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        (status, Json(self)).into_response()
    }
}
