//! The id of an HTTP request: in the answer's `x-request-id`, and in every log line of the request.
//!
//! A client may give one. It is kept in a task-local instead of a span, because a span costs each request
//! what only the few that log something need.

use std::{
    convert::Infallible,
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{
    Router,
    http::{HeaderMap, HeaderName, HeaderValue, Request, Response},
};
use hyper::{
    body::Incoming,
    service::{Service, service_fn},
};
use hyper_util::service::TowerToHyperService;

/// The header, of a request and of its answer.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id that is taken from a request, in bytes.
pub const MAX_REQUEST_ID_BYTES: usize = 128;

tokio::task_local! {
    static CURRENT: HeaderValue;
}

/// The id of the request that is being answered, if one is.
pub(crate) fn current() -> Option<String> {
    CURRENT
        .try_with(|id| id.to_str().map(str::to_owned).ok())
        .ok()?
}

/// Answers requests, each under its id.
pub(crate) fn with_request_ids(
    router: Router,
) -> impl Service<
    Request<Incoming>,
    Response = Response<axum::body::Body>,
    Error = Infallible,
    Future: Send,
> {
    let answers = TowerToHyperService::new(router);
    service_fn(move |request: Request<Incoming>| {
        let id = given(request.headers()).unwrap_or_else(made);
        let answer = CURRENT.scope(id.clone(), answers.call(request));
        async move {
            let mut answer = answer.await?;
            answer.headers_mut().insert(X_REQUEST_ID, id);
            Ok(answer)
        }
    })
}

/// The id a client gave, if it is one that may stand in a log.
fn given(headers: &HeaderMap) -> Option<HeaderValue> {
    let id = headers.get(X_REQUEST_ID)?;
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=@".contains(byte);
    let is_sane =
        (1..=MAX_REQUEST_ID_BYTES).contains(&id.len()) && id.as_bytes().iter().all(is_plain);
    is_sane.then(|| id.clone())
}

/// An id of this process's: where it comes from, drawn once, and a number.
fn made() -> HeaderValue {
    static PROCESS: LazyLock<u32> = LazyLock::new(rand::random);
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let id = format!("{:08x}-{number:x}", *PROCESS);
    // It is made of what a header may hold.
    HeaderValue::try_from(id).unwrap_or(HeaderValue::from_static("unknown"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(id: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(X_REQUEST_ID, id.parse().unwrap());
        given(&headers).is_some_and(|given| given == id)
    }

    #[test]
    fn a_given_id_is_taken_when_it_may_stand_in_a_log() {
        assert!(taken("0b6f-77:a/b.c_d+e=@"));
        assert!(taken(&"x".repeat(MAX_REQUEST_ID_BYTES)));
        assert!(!taken(&"x".repeat(MAX_REQUEST_ID_BYTES + 1)));
        for id in ["", "a b", "a\"b", "a\\b", "a{b", "é"] {
            assert!(!taken(id), "{id}");
        }
    }

    #[test]
    fn an_id_that_is_made_is_another_each_time() {
        assert_ne!(made(), made());
        assert!(made().len() > "00000000-".len());
    }
}
