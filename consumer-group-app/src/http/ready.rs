//! `GET /ready`: the group hears the channel and can reach Redis.

use axum::extract::State;
use service_kit::readiness::Readiness;

use super::AppState;

pub(super) async fn ready(State(state): State<AppState>) -> Readiness {
    let mut reasons = Vec::new();
    if state.ending.is_cancelled() {
        reasons.push("this group is shutting down".to_owned());
    } else if !state.status.is_subscribed() {
        reasons.push("not subscribed to the channel".to_owned());
    }
    reasons.extend(state.connection.trouble().await);
    Readiness::unless(reasons)
}
