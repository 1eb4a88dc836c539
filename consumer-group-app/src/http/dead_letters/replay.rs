//! `POST /deadLetters/replay`: sends messages on their way again, unless they were processed.

use std::time::Duration;

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{
        HeaderMap, Request, StatusCode,
        header::{HOST, ORIGIN},
    },
};
use protocol::http::REPLAY;
use redis_bus::{
    chunk_queue::QueueError,
    dead_letters::{Choice, LetterOutcome, ReplayMode, Replayed, Replayer, Selection, Skipped},
};
use serde::{Deserialize, Serialize};
use service_kit::{
    api_docs::responses::{BadBody, Failure},
    api_error::{ApiError, ErrorBody},
    http_body::read_json,
};
use tokio::time::timeout;
use tracing::info;
use utoipa::ToSchema;

use super::{super::AppState, super::dashboard::Dashboard, is_entry};

/// The most bytes of a request, and the most ids in one.
const MAX_BODY_BYTES: usize = 64 * 1024;
const MAX_IDS: usize = 1000;

/// The most messages of one step.
const BATCH: usize = 128;

/// How long one request replays; what is not done by then is left for another.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// Which letters are to be replayed: exactly one of these.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(in super::super) enum Wish {
    /// `{"ids":["1700000000123-0"]}`: those at these entries.
    Ids(Vec<String>),
    /// `{"reason":"rejected"}`: all with this reason.
    Reason(String),
    /// `{"all":true}`: all.
    All(bool),
}

/// The outcomes of the letters, in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(in super::super) struct Counts {
    /// Messages on their way again; their letters are gone.
    sent: u64,
    /// Letters that stay, because their message is processed.
    processed: u64,
    /// Letters that stay, because they hold no whole message.
    malformed: u64,
    /// Letters that stay, because the same message was sent from another, or came again since.
    repeated: u64,
    /// Letters that were there no more.
    gone: u64,
    /// Whether all of them were looked at.
    is_complete: bool,
}

impl Counts {
    fn add(&mut self, outcome: LetterOutcome) {
        *match outcome {
            LetterOutcome::Answered(Replayed::Sent) => &mut self.sent,
            LetterOutcome::Skipped(Skipped::Processed) => &mut self.processed,
            LetterOutcome::Answered(Replayed::Gone) => &mut self.gone,
            LetterOutcome::Skipped(Skipped::Malformed) => &mut self.malformed,
            LetterOutcome::Skipped(Skipped::Repeated)
            | LetterOutcome::Answered(Replayed::Admitted) => &mut self.repeated,
        } += 1;
    }
}

/// Send messages on their way again, and remove their letters.
///
/// Only where the operator allows it with `--dashboardReplay true`. A request replays for 30 s at the
/// most; `is_complete` says whether that was enough. Doing it again sends nothing twice.
#[utoipa::path(
    post, path = REPLAY, tag = "Dead letters", request_body = Wish,
    responses(
        (status = 200, description = "How many letters had which outcome.", body = Counts),
        (
            status = 403, description = "It is turned off, or a page of another site asks.",
            body = ErrorBody,
        ),
        (
            status = 409, description = "Another replay is under way.", body = ErrorBody,
            headers(("Retry-After" = u64, description = "In seconds.")),
        ),
        BadBody,
        Failure,
    ),
)]
pub(in super::super) async fn replay(
    State(state): State<AppState>,
    request: Request<Body>,
) -> Result<Json<Counts>, ApiError> {
    const FAILED: &str = "Failed to replay!";
    let dashboard = &state.dashboard;
    if !dashboard.may_replay {
        let text = "Replaying over HTTP is turned off: start the group with --dashboardReplay true, \
                    or use `publisher deadLetters replay`.";
        return Err(ApiError::new(StatusCode::FORBIDDEN, text.to_owned()));
    }
    if is_from_elsewhere(request.headers()) {
        let text = "This request comes from a page of another site.".to_owned();
        return Err(ApiError::new(StatusCode::FORBIDDEN, text));
    }
    let body = read_json(request, MAX_BODY_BYTES).await?;
    let wish = serde_json::from_slice(&body);
    let choice = choice(wish.map_err(|error| ApiError::bad_request(&error.to_string()))?)?;
    let Ok(_turn) = dashboard.replaying.try_acquire() else {
        let text = "Another replay is under way; try again.".to_owned();
        return Err(ApiError::new(StatusCode::CONFLICT, text).retry_after(5));
    };
    let mut counts = Counts::default();
    match timeout(TIME_LIMIT, run(dashboard, choice, &mut counts)).await {
        Ok(Ok(())) => counts.is_complete = true,
        Ok(Err(error)) => return Err(ApiError::internal(FAILED, &error)),
        Err(_) => {}
    }
    let Counts {
        sent,
        processed,
        malformed,
        repeated,
        gone,
        is_complete,
    } = counts;
    info!(
        sent,
        processed, malformed, repeated, gone, is_complete, "dead letters were replayed over HTTP"
    );
    Ok(Json(counts))
}

/// Whether a browser says that another site's page sends this
/// (<https://www.w3.org/TR/fetch-metadata/>).
fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let is_cross_site = text("sec-fetch-site").is_some_and(|site| site != "same-origin");
    let origin = headers.get(ORIGIN).map(|origin| {
        let origin = origin.to_str().unwrap_or_default();
        origin
            .split_once("://")
            .map_or("", |(_, authority)| authority)
    });
    is_cross_site || origin.is_some_and(|origin| Some(origin) != text(HOST.as_str()))
}

fn choice(wish: Wish) -> Result<Choice, ApiError> {
    match wish {
        Wish::Ids(ids) if ids.is_empty() || ids.len() > MAX_IDS => Err(ApiError::bad_request(
            &format!("ids are not 1 to {MAX_IDS}"),
        )),
        // By the id of a message it would have to be looked for.
        Wish::Ids(ids) if !ids.iter().all(|id| is_entry(id)) => {
            Err(ApiError::bad_request("an id is none of an entry"))
        }
        Wish::Ids(ids) => Ok(Choice::Entries(ids)),
        Wish::Reason(reason) => Ok(Choice::Reason(reason)),
        Wish::All(true) => Ok(Choice::All),
        Wish::All(false) => Err(ApiError::bad_request("all is not true")),
    }
}

async fn run(dashboard: &Dashboard, choice: Choice, counts: &mut Counts) -> Result<(), QueueError> {
    let letters = &dashboard.letters;
    let selection = Selection::find(letters, choice).await?;
    let ids = selection.message_ids(|_| {}).await?;
    let mut replayer = Replayer::new(letters, ReplayMode::Real, ids);
    let mut cursor = selection.cursor();
    while let Some(page) = cursor.next().await? {
        counts.gone += page.gone;
        let mut letters = page.letters.into_iter().peekable();
        while letters.peek().is_some() {
            let step = replayer
                .step(letters.by_ref().take(BATCH).collect())
                .await?;
            step.outcomes
                .iter()
                .for_each(|(_, outcome)| counts.add(*outcome));
            if let Some(cause) = step.failure {
                return Err(cause);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        pairs.collect()
    }

    #[test]
    fn what_another_site_sends_is_told_apart() {
        let host = ("host", "127.0.0.1:5000");
        for fine in [
            headers(&[host]),
            headers(&[host, ("origin", "http://127.0.0.1:5000")]),
            headers(&[host, ("sec-fetch-site", "same-origin")]),
        ] {
            assert!(!is_from_elsewhere(&fine), "{fine:?}");
        }
        for foreign in [
            headers(&[host, ("origin", "http://evil.example")]),
            headers(&[host, ("origin", "http://127.0.0.1:5001")]),
            headers(&[host, ("origin", "null")]),
            headers(&[host, ("sec-fetch-site", "cross-site")]),
            headers(&[host, ("sec-fetch-site", "same-site")]),
        ] {
            assert!(is_from_elsewhere(&foreign), "{foreign:?}");
        }
    }

    #[test]
    fn letters_are_chosen_in_exactly_one_way() {
        let read = |text: &str| {
            let wish = serde_json::from_str(text).ok()?;
            choice(wish).ok()
        };
        assert_eq!(read(r#"{"all":true}"#), Some(Choice::All));
        let reason = Choice::Reason("rejected".to_owned());
        assert_eq!(read(r#"{"reason":"rejected"}"#), Some(reason));
        assert_eq!(
            read(r#"{"ids":["1-0"]}"#),
            Some(Choice::Entries(vec!["1-0".to_owned()]))
        );
        for bad in [
            "{}",
            r#"{"all":false}"#,
            r#"{"ids":[]}"#,
            r#"{"ids":["a"]}"#,
            r#"{"ids":["1-0"],"all":true}"#,
            r#"{"other":1}"#,
        ] {
            assert!(read(bad).is_none(), "{bad}");
        }
    }
}
