//! `GET /metrics`: the group for Prometheus.

use std::{sync::Arc, time::Duration};

use axum::extract::State;
use build_stamp::BUILD;
use service_kit::{
    metrics::{METRICS, Metric, Scrape},
    supervisor::Supervisor,
};
use strum::VariantArray;
use tokio::time::timeout;

use super::AppState;
use crate::{
    dispatch::retry_budget::RetryBudget,
    observe::{
        metrics::GroupMetrics,
        status::{ConsumerState, ConsumerStatus, StatusBody},
    },
};

/// How long Redis may take to tell the account: Prometheus waits no longer than it was told to.
const ACCOUNT_TIMEOUT: Duration = Duration::from_millis(500);

/// What is told to Prometheus and to nobody else.
#[derive(Debug)]
pub(crate) struct MetricsSources {
    pub(crate) metrics: GroupMetrics,
    pub(crate) budget: Arc<RetryBudget>,
    pub(crate) supervisor: Supervisor,
}

/// The group for Prometheus, in its text format.
#[utoipa::path(
    get, path = METRICS, tag = "Health",
    responses((
        status = 200, description = "What is counted; without Redis, what only Redis knows is left out.",
        body = String, content_type = "text/plain; version=0.0.4",
        example = "# HELP consumer_group_redis_up Whether Redis answers.\n# TYPE consumer_group_redis_up gauge\nconsumer_group_redis_up 1\n",
    )),
)]
pub(super) async fn metrics(State(state): State<AppState>) -> Scrape {
    let scrape = Scrape::new(state.metrics.metrics.registry.clone());
    let account = timeout(ACCOUNT_TIMEOUT, state.status.account()).await;
    let account = account.ok().and_then(Result::ok);
    let (known, buffered) = account.unwrap_or_default();
    let status = state.status.with(known, buffered);
    if account.is_some() {
        add_account(&scrape, &status, known.replayed);
        add_oldest(&scrape, &state).await;
    }
    add_connections(&scrape, &state, &status).await;
    add_attempts(&scrape, &state);
    add_consumers(&scrape, status.consumers());
    add_process(&scrape, &state);
    scrape
}

fn add_account(scrape: &Scrape, status: &StatusBody, replayed: u64) {
    let counters = [
        (
            "consumer_group_messages_received_total",
            "Messages received; at each reading the sum of processed, duplicate, dead-lettered (without replayed), in flight and queued ones.",
            // What is buffered moves over between two readings: a counter must not fall.
            status.received - status.buffered,
        ),
        (
            "consumer_group_messages_processed_total",
            "Messages that a consumer processed.",
            status.processed,
        ),
        (
            "consumer_group_messages_duplicate_total",
            "Messages whose id had been processed, or given up, before.",
            status.duplicate,
        ),
        (
            "consumer_group_messages_dead_lettered_total",
            "Messages that were given up, replayed ones included.",
            // A counter must not fall when letters are replayed.
            status.dead_lettered + replayed,
        ),
        (
            "consumer_group_messages_replayed_total",
            "Messages that were given up and moved back into the queue.",
            replayed,
        ),
    ];
    for (name, help, value) in counters {
        scrape.counter(Metric { name, help }, value);
    }
    let gauges = [
        (
            "consumer_group_messages_in_flight",
            "Messages with a consumer, waiting for another attempt, or on their way to the dead letters.",
            status.in_flight,
        ),
        (
            "consumer_group_messages_queued",
            "Messages that wait for a consumer.",
            status.queued,
        ),
        (
            "consumer_group_messages_buffered",
            "Messages this group heard that are not in the queue yet.",
            status.buffered,
        ),
    ];
    for (name, help, value) in gauges {
        scrape.count(Metric { name, help }, value);
    }
}

async fn add_oldest(scrape: &Scrape, state: &AppState) {
    let oldest = timeout(ACCOUNT_TIMEOUT, state.status.queue.oldest_age()).await;
    if let Ok(Ok(oldest)) = oldest {
        let metric = Metric {
            name: "consumer_group_oldest_queued_age_seconds",
            help: "How long the message that has waited longest in the queue has waited; 0 without one.",
        };
        scrape.gauge(metric, oldest.unwrap_or_default().as_secs_f64());
    }
}

async fn add_connections(scrape: &Scrape, state: &AppState, status: &StatusBody) {
    let is_up = state.connection.trouble().await.is_none();
    let redis_up = Metric {
        name: "consumer_group_redis_up",
        help: "Whether Redis answers.",
    };
    scrape.count(redis_up, is_up.into());
    let subscription_up = Metric {
        name: "consumer_group_subscription_up",
        help: "Whether the group hears the channel.",
    };
    scrape.count(subscription_up, status.subscribed.into());
    let gaps = Metric {
        name: "consumer_group_subscription_gaps_total",
        help: "How often the subscription was interrupted.",
    };
    scrape.counter(gaps, status.subscription_gaps);
    let gap_seconds = Metric {
        name: "consumer_group_subscription_gap_seconds_total",
        help: "How long the subscription was interrupted, in all.",
    };
    scrape.sum(gap_seconds, status.subscription_gap_seconds);
}

fn add_attempts(scrape: &Scrape, state: &AppState) {
    let attempts = Metric {
        name: "consumer_group_attempts_total",
        help: "Attempts to have a message processed, by what they came to.",
    };
    let (mut outcomes, ejections) = state.group.counts();
    outcomes.add(&state.leasing.counts());
    let outcomes = outcomes.each().map(|(outcome, count)| ([outcome], count));
    scrape.counters(attempts, ["outcome"], outcomes);
    let retries = Metric {
        name: "consumer_group_retries_total",
        help: "Attempts after a first one that failed.",
    };
    let (taken, left) = state.metrics.budget.read();
    scrape.counter(retries, taken);
    let budget = Metric {
        name: "consumer_group_retry_budget",
        help: "How many retries the group allows itself at once; 100 when full.",
    };
    scrape.gauge(budget, left);
    let ejected = Metric {
        name: "consumer_group_ejections_total",
        help: "How often a consumer was left out for a while.",
    };
    scrape.counter(ejected, ejections);
    let bytes = Metric {
        name: "consumer_group_held_bytes",
        help: "Bytes of the messages this group holds.",
    };
    let held = state.status.held_bytes();
    scrape.count(bytes, to_u64(held));
}

fn add_consumers(scrape: &Scrape, consumers: &[ConsumerStatus]) {
    let state = Metric {
        name: "consumer_group_consumer_state",
        help: "1 for the state a consumer is in.",
    };
    let states = consumers.iter().flat_map(|consumer| {
        let id = consumer.consumer_id.clone();
        ConsumerState::VARIANTS.iter().map(move |state| {
            let is_in = u64::from(consumer.state == *state);
            let state: &str = state.into();
            ([id.clone(), state.to_owned()], is_in)
        })
    });
    scrape.counts(state, ["consumer_id", "state"], states);
    let attempts = Metric {
        name: "consumer_group_consumer_attempts_total",
        help: "Attempts with a consumer since it joined, by what they came to.",
    };
    let outcomes = consumers.iter().flat_map(|consumer| {
        let id = consumer.consumer_id.clone();
        let each = consumer.outcomes.each();
        each.map(|(outcome, count)| ([id.clone(), outcome.to_owned()], count))
    });
    scrape.counters(attempts, ["consumer_id", "outcome"], outcomes);
    let ejections = Metric {
        name: "consumer_group_consumer_ejections_total",
        help: "How often a consumer was left out for a while since it joined.",
    };
    let of_each = |value: fn(&ConsumerStatus) -> u64| {
        consumers
            .iter()
            .map(move |consumer| ([&consumer.consumer_id], value(consumer)))
    };
    scrape.counters(ejections, ["consumer_id"], of_each(|one| one.ejections));
    let in_flight = Metric {
        name: "consumer_group_consumer_in_flight",
        help: "Messages a consumer was given and has not answered.",
    };
    scrape.counts(
        in_flight,
        ["consumer_id"],
        of_each(|one| to_u64(one.in_flight)),
    );
    let limit = Metric {
        name: "consumer_group_consumer_concurrency_limit",
        help: "How many messages a consumer may hold, as it is doing now.",
    };
    scrape.counts(limit, ["consumer_id"], of_each(|one| to_u64(one.limit)));
    let members = Metric {
        name: "consumer_group_consumers",
        help: "How many consumers there are.",
    };
    scrape.count(members, to_u64(consumers.len()));
}

fn add_process(scrape: &Scrape, state: &AppState) {
    let restarts = Metric {
        name: "consumer_group_task_restarts_total",
        help: "How often a background task ended unexpectedly and was run again.",
    };
    scrape.counter(restarts, state.metrics.supervisor.restarts());
    let build = Metric {
        name: "consumer_group_build_info",
        help: "1, with what the program was built from as labels.",
    };
    scrape.build(build, &BUILD);
}

fn to_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
