//! `GET /metrics`: the consumer for Prometheus.

use axum::extract::State;
use service_kit::metrics::{METRICS, Metric, Scrape};

use super::HealthState;
use crate::worker::Identity;

/// The consumer for Prometheus, in its text format.
#[utoipa::path(
    get, path = METRICS, tag = "Health",
    responses((
        status = 200, description = "What is counted.",
        body = String, content_type = "text/plain; version=0.0.4",
        example = "# HELP consumer_redis_up Whether Redis answers.\n# TYPE consumer_redis_up gauge\nconsumer_redis_up 1\n",
    )),
)]
pub(super) async fn metrics(State(needs): State<HealthState>) -> Scrape {
    let scrape = Scrape::new(needs.metrics.all.clone());
    let under_way = Metric {
        name: "consumer_work_in_flight",
        help: "Requests, or with pull messages, that are being worked on.",
    };
    let count = u64::try_from(needs.admission.under_way()).unwrap_or(u64::MAX);
    scrape.count(under_way, count);
    let redis_up = Metric {
        name: "consumer_redis_up",
        help: "Whether Redis answers.",
    };
    let is_up = needs.connection.trouble().await.is_none();
    scrape.count(redis_up, is_up.into());
    if let Some(registration) = &needs.registration {
        let registered = Metric {
            name: "consumer_registered",
            help: "Whether the consumer has registered with the group; not told with pull.",
        };
        scrape.count(registered, registration.is_done().into());
    }
    let restarts = Metric {
        name: "consumer_task_restarts_total",
        help: "How often a background task ended unexpectedly and was run again.",
    };
    scrape.counter(restarts, needs.supervisor.restarts());
    let build = Metric {
        name: "consumer_build_info",
        help: "1, with the worker's name and what it was built from as labels.",
    };
    let Identity {
        name, build: of, ..
    } = &needs.identity;
    let labels = ["worker", "version", "commit", "build_date"];
    scrape.counts(build, labels, [([name, of.version, of.commit, of.date], 1)]);
    scrape
}
