use std::time::Duration;

use axum::{Json, http::header::CONTENT_TYPE};
use protocol::Message;
use service_kit::supervisor::Supervisor;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    Additions, ProcessError,
    http::Admission,
    metrics::ConsumerMetrics,
    processing::Processing,
    sink::{Sink, tests::recorder_without_redis},
};

fn texts(body: &'static str, max_batch: u32) -> Result<Vec<Bytes>, ApiError> {
    lines(&Bytes::from_static(body.as_bytes()), max_batch)
}

#[test]
fn empty_lines_are_skipped_and_the_last_needs_no_newline() {
    for body in ["a\nb", "a\nb\n", "\n\na\n \t\r\nb\n\n"] {
        assert_eq!(texts(body, 2).unwrap(), ["a", "b"], "{body:?}");
    }
    assert_eq!(texts("a\r\nb\r\n", 2).unwrap(), ["a\r", "b\r"]);
    assert!(texts("", 1).unwrap().is_empty());
}

#[test]
fn more_lines_than_allowed_are_too_many() {
    let refused = texts("a\n\nb\nc", 2).unwrap_err();
    assert_eq!(refused.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert!(texts("a\n\nb\n\n", 2).is_ok());
}

struct Touchy;

impl Processor for Touchy {
    async fn process(&self, message: &Message) -> Result<Additions, ProcessError> {
        match message.id().as_str() {
            "panic" => panic!("as it was told"),
            "error" => Err("as it was told".into()),
            "reject" => Err(ProcessError::rejected("as it was told")),
            "later" => Err(ProcessError::RetryAfter(Duration::from_millis(1500))),
            _ => Ok(Additions::new()),
        }
    }
}

/// The routes' state, without a Redis.
fn without_redis(supervisor: &Supervisor) -> Arc<AppState<Touchy>> {
    let (handle, sink) = Sink::new(recorder_without_redis(), ConsumerMetrics::new().unwrap());
    supervisor.spawn("sink", CancellationToken::new(), sink);
    Arc::new(AppState {
        processing: Processing::new(
            Touchy,
            0,
            "127.0.0.1:5001".parse().unwrap(),
            ConsumerMetrics::new().unwrap(),
        ),
        sink: handle,
        admission: Admission::default(),
        max_batch: 512,
        concurrency: None,
    })
}

#[tokio::test]
async fn what_fails_fails_alone_and_says_whether_and_when_it_may_come_again() {
    let supervisor = Supervisor::new();
    let body = r#"{"message_id":"well"}
{"message_id":"panic"}
no message
{"message_id":"error"}
{"message_id":"reject"}
{"message_id":"later"}
{"message_id":"also well"}"#;
    let request = Request::post("/processMessages")
        .header(CONTENT_TYPE, "application/x-ndjson; charset=utf-8")
        .body(Body::from(body))
        .unwrap();
    let state = without_redis(&supervisor);
    let (_, Json(answer)) = process_messages(State(state), request).await.unwrap();
    let BatchAnswer::Each { results } = answer else {
        panic!("{answer:?}");
    };
    let shown: Vec<_> = results.iter().map(|r| (r.status, r.retry_after)).collect();
    let failed = (500, None);
    let unrecorded = (503, Some(1));
    let not_processed = [failed, (400, None), failed, (422, None), (500, Some(2))];
    assert_eq!(
        shown,
        [&[unrecorded], &not_processed[..], &[unrecorded]].concat()
    );
    assert_eq!(results[4].error.as_deref(), Some("as it was told"));
    for result in &results {
        assert!(result.error.is_some(), "{result:?}");
    }
}
