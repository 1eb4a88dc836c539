//! `GET /events`: the dashboard's view of the group, once a second, as server-sent events.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    extract::State,
    http::{
        HeaderName, StatusCode,
        header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS},
    },
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::stream;
use protocol::http::EVENTS;
use serde::Serialize;
use service_kit::{
    api_docs::responses::Failure,
    api_error::{ApiError, ErrorBody},
};
use tokio::{sync::watch, time::Instant};

use super::AppState;
use crate::observe::history::{POINTS, Point};

/// How many may watch at once.
const SEATS: usize = 32;

/// How soon a browser is to connect again.
const RETRY: Duration = Duration::from_secs(1);

/// How long there may be nothing to tell until something is sent all the same, so that a connection that is dead
/// is noticed.
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
    let history = serde_json::to_string(&history)
        .map_err(|error| ApiError::internal("Failed to read the history!", &error))?;
    let watching = Watching {
        history: Some(history),
        newest,
        seat,
        state: state.clone(),
    };
    let events = stream::unfold(watching, async |mut watching| {
        let next = watching.next().await?;
        Some((Ok::<_, Infallible>(next), watching))
    });
    let events = Sse::new(events).keep_alive(KeepAlive::new().interval(SILENCE));
    let headers = [
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // nginx would hold the events back.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, events).into_response())
}

/// One who watches.
struct Watching {
    history: Option<String>,
    newest: watch::Receiver<Arc<str>>,
    seat: Seat,
    state: AppState,
}

impl Watching {
    /// What to send next; `None` at the end.
    async fn next(&mut self) -> Option<Event> {
        if !self.seat.keep() {
            return None;
        }
        if let Some(history) = self.history.take() {
            let first = Event::default().event("history").data(history);
            return Some(first.retry(RETRY));
        }
        tokio::select! {
            () = self.state.dashboard.closing.cancelled() => None,
            changed = self.newest.changed() => {
                changed.ok()?;
                let newest = self.newest.borrow_and_update();
                Some(Event::default().event("snapshot").data(&**newest))
            }
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
