//! The last quarter of an hour, second by second, and those who watch it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::Serialize;
use tokio::sync::watch;

/// How many points are kept: 15 minutes, one a second.
pub(crate) const POINTS: usize = 900;

/// What happened in one second, in messages a second, and what waited at its end.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(into = "Row")]
pub(crate) struct Point {
    /// Milliseconds since 1970.
    pub(crate) at_ms: u64,
    pub(crate) received: f64,
    pub(crate) processed: f64,
    pub(crate) failed: f64,
    pub(crate) duplicate: f64,
    pub(crate) queued: u64,
    pub(crate) in_flight: u64,
}

/// A point as it is sent: its fields in order.
type Row = (u64, f64, f64, f64, f64, u64, u64);

impl From<Point> for Row {
    fn from(point: Point) -> Self {
        let Point {
            at_ms,
            received,
            processed,
            failed,
            duplicate,
            queued,
            in_flight,
        } = point;
        (
            at_ms, received, processed, failed, duplicate, queued, in_flight,
        )
    }
}

/// The history and the newest snapshot; clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Feed(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    points: Mutex<VecDeque<Point>>,
    /// The newest snapshot, ready to be sent. Who is slow misses those in between.
    newest: watch::Sender<Arc<str>>,
}

impl Default for Feed {
    fn default() -> Self {
        Self(Arc::new(Shared {
            points: Mutex::new(VecDeque::with_capacity(POINTS)),
            newest: watch::Sender::new(Arc::default()),
        }))
    }
}

impl Feed {
    fn points(&self) -> MutexGuard<'_, VecDeque<Point>> {
        self.0.points.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a point; the oldest makes room.
    pub(crate) fn push(&self, point: Point) {
        let mut points = self.points();
        if points.len() == POINTS {
            points.pop_front();
        }
        points.push_back(point);
    }

    /// All points there are, the oldest first.
    pub(crate) fn history(&self) -> Vec<Point> {
        self.points().iter().copied().collect()
    }

    /// Whether anybody watches.
    pub(crate) fn is_watched(&self) -> bool {
        self.0.newest.receiver_count() > 0
    }

    /// Shows a snapshot to all who watch.
    pub(crate) fn show(&self, snapshot: Arc<str>) {
        self.0.newest.send_replace(snapshot);
    }

    /// The snapshots that are shown from now on.
    pub(crate) fn watch(&self) -> watch::Receiver<Arc<str>> {
        self.0.newest.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(at_ms: u64) -> Point {
        Point {
            at_ms,
            received: 1.5,
            processed: 1.0,
            failed: 0.5,
            duplicate: 0.0,
            queued: 7,
            in_flight: 2,
        }
    }

    #[test]
    fn it_keeps_a_quarter_of_an_hour_and_no_more() {
        let feed = Feed::default();
        let count = u64::try_from(POINTS).unwrap();
        (0..count + 5).for_each(|at| feed.push(point(at)));
        let history = feed.history();
        assert_eq!(history.len(), POINTS);
        assert_eq!(history.first().unwrap().at_ms, 5);
        assert_eq!(history.last().unwrap().at_ms, count + 4);
    }

    #[test]
    fn a_point_is_sent_as_its_fields_in_order() {
        let text = serde_json::to_string(&point(9)).unwrap();
        assert_eq!(text, "[9,1.5,1.0,0.5,0.0,7,2]");
    }

    #[test]
    fn who_watches_sees_what_is_shown_from_then_on() {
        let feed = Feed::default();
        assert!(!feed.is_watched());
        feed.show("before".into());
        let mut watching = feed.watch();
        assert!(feed.is_watched() && !watching.has_changed().unwrap());
        feed.show("first".into());
        feed.show("second".into());
        assert_eq!(&**watching.borrow_and_update(), "second");
        drop(watching);
        assert!(!feed.is_watched());
    }
}
