//! An answer that also says how long the work took.

use std::time::Duration;

use axum::{Json, http::HeaderName};
use protocol::work_time::{SERVER_TIMING, of_work};

/// The body of an answer, with the header.
pub(super) type Worked<T> = ([(HeaderName, String); 1], Json<T>);

/// An answer to what took so much work.
pub(super) fn worked<T>(work: Duration, body: T) -> Worked<T> {
    let header = (HeaderName::from_static(SERVER_TIMING), of_work(work));
    ([header], Json(body))
}
