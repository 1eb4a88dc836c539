//! What the group counts as it happens, for `GET /metrics`; the rest is read when it is asked for.

use protocol::DeadLetterReason;
use service_kit::metrics::{Histogram, IntCounterVec, Metric, MetricRegistry, SECONDS};
use strum::VariantArray;

/// The metrics; clones share them.
#[derive(Debug, Clone)]
pub(crate) struct GroupMetrics {
    pub(crate) registry: MetricRegistry,
    /// How long messages take until they are processed.
    pub(crate) message_seconds: Histogram,
    /// How long requests to consumers take.
    pub(crate) request_seconds: Histogram,
    /// The dead letters this group wrote, by reason.
    pub(crate) dead_letters: IntCounterVec,
}

impl GroupMetrics {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let registry = MetricRegistry::default();
        let message_seconds = Metric {
            name: "consumer_group_message_age_seconds",
            help: "Time from when a message was heard, or came into the queue, until this group knew it processed.",
        };
        let request_seconds = Metric {
            name: "consumer_group_request_duration_seconds",
            help: "Time a request to a consumer took, with one message or many.",
        };
        let dead_letters = Metric {
            name: "consumer_group_dead_letters_total",
            help: "Messages this group wrote to the dead letters.",
        };
        let dead_letters = registry.counters(dead_letters, &["reason"])?;
        for reason in DeadLetterReason::VARIANTS {
            // From 0, so that the first one is an increase.
            dead_letters.with_label_values(&[reason.as_str()]);
        }
        Ok(Self {
            message_seconds: registry.histogram(message_seconds, &SECONDS)?,
            request_seconds: registry.histogram(request_seconds, &SECONDS)?,
            dead_letters,
            registry,
        })
    }
}
