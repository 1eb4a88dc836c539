//! Where the messages of a request stand in the queue, as the group says in a header.

use axum::http::HeaderMap;
use protocol::{
    Positions,
    positions::{BadPositions, QUEUE_POSITIONS},
};
use service_kit::api_error::ApiError;

use crate::sink::Stands;

/// For each of `count` messages where it stands, if the request says so.
pub(super) fn stands(headers: &HeaderMap, count: usize) -> Result<Vec<Option<Stands>>, ApiError> {
    let Some(positions) = read(headers)? else {
        return Ok(vec![None; count]);
    };
    let told = positions.positions.len();
    if told != count {
        return Err(bad(&format!("{told} positions for {count} messages")));
    }
    let queue = positions.queue;
    let positions = positions.positions.into_iter();
    Ok(positions
        .map(|position| Some((queue.clone(), position)))
        .collect())
}

fn read(headers: &HeaderMap) -> Result<Option<Positions>, ApiError> {
    let mut values = headers.get_all(QUEUE_POSITIONS).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(bad("it stands there twice"));
    }
    let text = value.to_str().map_err(|cause| bad(&cause.to_string()))?;
    let positions = text
        .parse()
        .map_err(|cause: BadPositions| bad(&cause.to_string()))?;
    Ok(Some(positions))
}

fn bad(why: &str) -> ApiError {
    ApiError::bad_request(&format!("header {QUEUE_POSITIONS}: {why}"))
}
