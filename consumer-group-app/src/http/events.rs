//! `GET /events`: the dashboard's view of the group, once a second, as server-sent events.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    body::Body,
    extract::State,
    http::{
        HeaderName, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS},
    },
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::stream;
use protocol::http::EVENTS;
use serde::Serialize;
use service_kit::{
    api_docs::responses::Failure,
    api_error::{ApiError, ErrorBody},
};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

use super::AppState;
use crate::observe::{
    history::{POINTS, Point},
    sampler::event,
};

/// How many may watch at once.
const SEATS: usize = 32;

/// What a stream begins with: how soon, in milliseconds, a browser is to connect again.
const RETRY: &[u8] = b"retry: 1000\n\n";

/// What is sent when there is nothing to tell, so that a connection that is dead is noticed.
const KEEP_ALIVE: &[u8] = b": nothing new\n\n";

/// How long there may be nothing to tell.
const SILENCE: Duration = Duration::from_secs(10);

/// The first event of a stream.
#[derive(Serialize)]
struct History {
    /// How many points there can be.
    most: usize,
    may_replay: bool,
    points: Vec<Point>,
}

/// What the dashboard shows, once a second, as server-sent events.
///
/// First `history`, the points of the last 15 minutes; then a `snapshot` every second. Who reads
/// slowly misses some; who does not read at all for 30 s loses the seat.
#[utoipa::path(
    get, path = EVENTS, tag = "Health",
    responses(
        (
            status = 200, description = "Events, for as long as they are read.", body = String,
            content_type = "text/event-stream",
        ),
        (
            status = 503, description = "As many are watching as may.", body = ErrorBody,
            headers(("Retry-After" = u64, description = "In seconds.")),
        ),
        Failure,
    ),
)]
pub(super) async fn events(State(state): State<AppState>) -> Result<Response, ApiError> {
    let dashboard = &state.dashboard;
    let seat = dashboard.seats.take().ok_or_else(|| {
        let text = format!("{SEATS} others are watching already; try again later.");
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, text).retry_after(10)
    })?;
    // Before the history is read, so that no point is missed between the two.
    let newest = dashboard.feed.watch();
    let history = History {
        most: POINTS,
        may_replay: dashboard.may_replay,
        points: dashboard.feed.history(),
    };
    let json = serde_json::to_vec(&history)
        .map_err(|error| ApiError::internal("Failed to read the history!", &error))?;
    let start = [RETRY, &event("history", &json)].concat();
    let watching = Watching {
        start: Some(start.into()),
        newest,
        seat,
        state: state.clone(),
    };
    let body = stream::unfold(watching, async |mut watching| {
        let next = watching.next().await?;
        Some((Ok::<_, std::convert::Infallible>(next), watching))
    });
    let headers = [
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // nginx would hold the events back.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, Body::from_stream(body)).into_response())
}

/// One who watches.
struct Watching {
    start: Option<Bytes>,
    newest: watch::Receiver<Bytes>,
    seat: Seat,
    state: AppState,
}

impl Watching {
    /// What to send next; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        if !self.seat.keep() {
            return None;
        }
        if let Some(start) = self.start.take() {
            return Some(start);
        }
        let changed = timeout(SILENCE, self.newest.changed());
        tokio::select! {
            () = self.state.dashboard.closing.cancelled() => None,
            changed = changed => match changed {
                Ok(Ok(())) => Some(self.newest.borrow_and_update().clone()),
                Ok(Err(_)) => None,
                Err(_) => Some(Bytes::from_static(KEEP_ALIVE)),
            },
        }
    }
}

/// The seats of those who watch; clones share them.
#[derive(Debug, Clone)]
pub(super) struct Seats {
    /// When each was last seen to read.
    taken: Arc<Mutex<Taken>>,
    patience: Duration,
}

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    seen: HashMap<u64, Instant>,
}

/// A seat; it is free when this is dropped.
#[derive(Debug)]
struct Seat {
    seats: Seats,
    number: u64,
}

impl Seats {
    /// Seats that are lost by who does not read for so long.
    pub(super) fn new(patience: Duration) -> Self {
        Self {
            taken: Arc::default(),
            patience,
        }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A seat, if one is free or its holder reads no more.
    fn take(&self) -> Option<Seat> {
        let mut taken = self.taken();
        taken.seen.retain(|_, seen| seen.elapsed() < self.patience);
        if taken.seen.len() >= SEATS {
            return None;
        }
        let number = taken.next;
        taken.next += 1;
        taken.seen.insert(number, Instant::now());
        drop(taken);
        Some(Seat {
            seats: self.clone(),
            number,
        })
    }
}

impl Seat {
    /// Whether the seat is still its holder's, who is reading just now.
    fn keep(&self) -> bool {
        let mut taken = self.seats.taken();
        let seen = taken.seen.get_mut(&self.number);
        seen.map(|seen| *seen = Instant::now()).is_some()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.taken().seen.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn seats_are_bounded_and_lost_by_who_does_not_read() {
        let seats = Seats::new(Duration::from_secs(30));
        let mut held: Vec<_> = (0..SEATS).map(|_| seats.take().unwrap()).collect();
        assert!(seats.take().is_none());
        drop(held.pop());
        held.push(seats.take().unwrap());
        advance(Duration::from_secs(20)).await;
        assert!(held[0].keep());
        advance(Duration::from_secs(20)).await;
        let newcomer = seats.take().unwrap();
        assert!(held[0].keep() && newcomer.keep() && !held[1].keep());
    }
}
