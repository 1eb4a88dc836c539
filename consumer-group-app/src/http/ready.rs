//! `GET /ready`: the group hears the channel, and Redis takes what it writes.

use axum::extract::State;
use protocol::http::READY;
use service_kit::readiness::Readiness;

use super::AppState;

/// Whether the group hears the channel and Redis takes what it writes, and if not, why.
#[utoipa::path(
    get, path = READY, tag = "Health",
    responses(
        (
            status = 200, description = "It does.", body = Readiness,
            example = json!({ "ready": true, "reasons": [] }),
        ),
        (
            status = 503, description = "It does not, for these reasons.", body = Readiness,
            example = json!({ "ready": false, "reasons": ["not subscribed to the channel"] }),
        ),
    ),
)]
pub(super) async fn ready(State(state): State<AppState>) -> Readiness {
    let mut reasons = Vec::new();
    if state.ending.is_cancelled() {
        reasons.push("this group is shutting down".to_owned());
    } else if !state.status.is_subscribed() {
        reasons.push("not subscribed to the channel".to_owned());
    }
    reasons.extend(state.probe.trouble().await);
    Readiness::unless(reasons)
}
