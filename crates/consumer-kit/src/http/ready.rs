//! `GET /ready`: messages come here, and can be committed.

use axum::extract::State;
use protocol::http::READY;
use redis_bus::{Connection, probe::Probe};
use service_kit::{readiness::Readiness, supervisor::Supervisor};

use super::Admission;
use crate::{metrics::ConsumerMetrics, registrar::Registration, worker::Identity};

/// What a consumer needs to work, and what tells of it.
#[derive(Debug, Clone)]
pub(crate) struct HealthState {
    pub(crate) identity: Identity,
    pub(crate) admission: Admission,
    pub(crate) connection: Connection,
    pub(crate) probe: Probe,
    /// Of a consumer that the group pushes to.
    pub(crate) registration: Option<Registration>,
    pub(crate) metrics: ConsumerMetrics,
    pub(crate) supervisor: Supervisor,
}

/// Whether this consumer is registered and could commit, and if not, why.
///
/// One that pulls registers nowhere.
#[utoipa::path(
    get, path = READY, tag = "Health",
    responses(
        (
            status = 200, description = "It does.", body = Readiness,
            example = json!({ "ready": true, "reasons": [] }),
        ),
        (
            status = 503, description = "It does not, for these reasons.", body = Readiness,
            example = json!({ "ready": false, "reasons": ["not registered with the group"] }),
        ),
    ),
)]
pub(super) async fn ready(State(needs): State<HealthState>) -> Readiness {
    let mut reasons = Vec::new();
    if needs.admission.is_closed() {
        reasons.push("this consumer is shutting down".to_owned());
    } else if needs
        .registration
        .is_some_and(|registration| !registration.is_done())
    {
        reasons.push("not registered with the group".to_owned());
    }
    reasons.extend(needs.probe.trouble().await);
    Readiness::unless(reasons)
}
