//! `POST /processMessages`: as `/processMessage`, many at a time, one a line.

use std::{sync::Arc, time::Instant};

use axum::{
    body::Body,
    extract::State,
    http::{Request, StatusCode},
};
use bytes::Bytes;
use protocol::{
    http::{BatchAnswer, MAX_BATCH_BODY_BYTES, MessageResult, PROCESS_MESSAGES, ProcessingResult},
    schemas::MessageLines,
};
use redis_bus::Added;
use service_kit::{
    api_docs::responses::BadBody,
    api_error::{ApiError, ErrorBody},
    http_body::read_lines,
    spans::are_on,
};
use tracing::debug;

use super::{
    AppState,
    positions::stands,
    process_message::{not_committed, not_processed, parse},
    worked::{Worked, worked},
};
use crate::{
    Processor,
    places::{put_back, take_well},
    sink::Committed,
    spans,
};

/// Process many messages and commit them together.
///
/// 200 with a result for each message, unless the request as a whole cannot be taken. What fails is
/// the result of the message it fails for; all that were processed are committed together.
///
/// Lines end in a newline, which the last need not have; empty lines are skipped, and have no result.
///
/// A body is 1 MiB at most, and as many messages as `max_batch` in `GET /health` says. With
/// `--maxBatch 1` this path does not exist.
///
/// The header `queue-positions` may say where the messages stand in the queue; docs/workers.md has
/// its form.
#[utoipa::path(
    post, path = PROCESS_MESSAGES, tag = "Messages",
    request_body(
        content = MessageLines, content_type = "application/x-ndjson",
        example = json!("{\"message_id\":\"order-7\"}\n{\"message_id\":\"order-8\"}\n"),
    ),
    responses(
        (
            status = 200,
            description = "How many, when all were processed and none of them before; else what became \
                of each, in order.",
            body = BatchAnswer,
            headers(("Server-Timing" = String, description = "How long the work took: `work;dur=0.42`, in ms.")),
            examples(
                ("all" = (value = json!({ "processed": 2 }))),
                ("each" = (value = json!({
                    "results": [
                        { "status": 200 },
                        { "status": 200, "result": "duplicate" },
                        { "status": 422, "error": "…" },
                    ]
                }))),
            ),
        ),
        BadBody,
        (
            status = 415, description = "The content type is not `application/x-ndjson`.",
            body = ErrorBody,
        ),
        (
            status = 503, description = "This consumer finishes its work and ends.", body = ErrorBody,
            example = json!({ "error": "This consumer is shutting down." }),
        ),
    ),
)]
pub(super) async fn process_messages<P: Processor>(
    State(state): State<Arc<AppState<P>>>,
    request: Request<Body>,
) -> Result<Worked<BatchAnswer>, ApiError> {
    let _under_way = state.admission.admit()?;
    let _timed = state.processing.metrics().work_seconds.start_timer();
    let headers = request.headers().clone();
    let body = read_lines(request, MAX_BATCH_BODY_BYTES).await?;
    let lines = lines(&body, state.max_batch)?;
    let stands = stands(&headers, lines.len())?;
    let first = stands.first().and_then(Option::as_ref);
    state.sink.look_for_queue(first).await;
    let mut spans = Vec::new();
    let parsed = lines.into_iter().map(parse).inspect(|parsed| {
        if are_on() {
            let message = parsed.as_ref().ok();
            spans.push(message.and_then(|message| state.processing.span(message, None)));
        }
    });
    let (messages, places) = take_well(parsed);
    let begun = Instant::now();
    let processed = state.processing.run_batch(messages).await.into_iter();
    let work = begun.elapsed();
    let processed = processed.map(|result| result.map_err(|error| not_processed(&error)));
    let processed = put_back(places, processed).into_iter().zip(stands);
    let processed = processed.map(|(processed, stands)| Ok((processed?, stands)));
    let (processed, places) = take_well(processed);
    let records = processed
        .iter()
        .map(|(processed, stands)| (processed, stands.clone()));
    let committed = state.sink.commit_batch(records).await;
    for ((processed, _), committed) in processed.iter().zip(&committed) {
        debug!(message.id = %processed.message.id(), ?committed, "processed");
    }
    let committed = committed.into_iter();
    let committed = committed.map(|result| result.map_err(|error| not_committed(&error)));
    let results = put_back(places, committed);
    for (span, result) in spans.into_iter().zip(&results) {
        if let Err(error) = result {
            spans::fail(span, error.text());
        }
    }
    Ok(worked(work, answer(results)))
}

/// The lines of a body that are not empty.
fn lines(body: &Bytes, max_batch: u32) -> Result<Vec<Bytes>, ApiError> {
    let most = usize::try_from(max_batch).unwrap_or(usize::MAX);
    let mut lines = Vec::new();
    let mut start = 0;
    for end in memchr::memchr_iter(b'\n', body).chain([body.len()]) {
        let line = &body[start..end];
        start = end + 1;
        if line.trim_ascii().is_empty() {
            continue;
        }
        if lines.len() == most {
            let text = format!("More than {max_batch} messages in one request.");
            return Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, text));
        }
        lines.push(body.slice_ref(line));
    }
    Ok(lines)
}

fn answer(results: Vec<Result<Committed, ApiError>>) -> BatchAnswer {
    let are_all = |is_settled| {
        let added = Added::Created;
        let created = Committed { added, is_settled };
        results
            .iter()
            .all(|result| matches!(result, Ok(committed) if *committed == created))
    };
    for settled in [false, true] {
        if are_all(settled) {
            let processed = results.len();
            return BatchAnswer::AllProcessed { processed, settled };
        }
    }
    BatchAnswer::Each {
        results: results.into_iter().map(message_result).collect(),
    }
}

fn message_result(result: Result<Committed, ApiError>) -> MessageResult {
    match result {
        Ok(committed) => MessageResult {
            result: match committed.added {
                Added::Created => None,
                Added::Duplicate => Some(ProcessingResult::Duplicate),
            },
            settled: committed.is_settled,
            ..MessageResult::PROCESSED
        },
        Err(error) => MessageResult {
            status: error.status().as_u16(),
            result: None,
            error: Some(error.text().to_owned()),
            retry_after: error.retry_after_seconds(),
            settled: false,
        },
    }
}

#[cfg(test)]
mod tests;
