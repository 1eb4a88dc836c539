//! What a consumer counts as it happens, for `GET /metrics`.

use std::time::SystemTime;

use service_kit::metrics::{
    Counter, Histogram, MESSAGES, Metric, MetricError, MetricRegistry, SECONDS,
};

use crate::ProcessError;

/// The metrics; clones share them.
#[derive(Debug, Clone)]
pub(crate) struct ConsumerMetrics {
    pub(crate) all: MetricRegistry,
    pub(crate) processed: Counter,
    pub(crate) duplicate: Counter,
    failed: Counter,
    rejected: Counter,
    postponed: Counter,
    /// Messages that were processed and not recorded.
    pub(crate) commit_failures: Counter,
    /// How long commits take, and of how many messages they are.
    pub(crate) commit_seconds: Histogram,
    pub(crate) commit_messages: Histogram,
    /// With pull: how long messages take from the queue to their entry.
    pub(crate) message_seconds: Histogram,
    /// How long requests of the group take to be answered; with pull, messages to be processed.
    pub(crate) work_seconds: Histogram,
}

impl ConsumerMetrics {
    /// Metrics that have counted nothing.
    ///
    /// # Errors
    /// When a metric cannot be set up, which only a wrong name can bring about.
    pub(crate) fn new() -> Result<Self, MetricError> {
        let all = MetricRegistry::default();
        let counter = |name, help| all.counter(Metric { name, help });
        let seconds = |name, help| all.histogram(Metric { name, help }, &SECONDS);
        let commit_messages = Metric {
            name: "consumer_commit_messages",
            help: "How many messages were committed in one call of Redis.",
        };
        Ok(Self {
            processed: counter(
                "consumer_processed_total",
                "Messages this consumer recorded as processed.",
            )?,
            duplicate: counter(
                "consumer_duplicates_total",
                "Messages this consumer processed that had been recorded, or given up, before.",
            )?,
            failed: counter(
                "consumer_failures_total",
                "Attempts in which the processor failed.",
            )?,
            rejected: counter(
                "consumer_rejected_total",
                "Messages the processor rejected: dead letters.",
            )?,
            postponed: counter(
                "consumer_postponed_total",
                "How often the processor wanted a message again later.",
            )?,
            commit_failures: counter(
                "consumer_commit_failures_total",
                "Messages that were processed and that Redis did not record when asked to.",
            )?,
            commit_seconds: seconds(
                "consumer_commit_duration_seconds",
                "Time one call of Redis took that recorded messages.",
            )?,
            message_seconds: seconds(
                "consumer_message_age_seconds",
                "With pull: time from when a message came into the queue until it was recorded, by the clocks of Redis and this machine.",
            )?,
            commit_messages: all.histogram(commit_messages, &MESSAGES)?,
            work_seconds: seconds(
                "consumer_work_duration_seconds",
                "Time from when a request was read, or with pull a message begun, until its work was done and recorded.",
            )?,
            all,
        })
    }

    /// A processor did not process a message.
    pub(crate) fn not_processed(&self, error: &ProcessError) {
        match error {
            ProcessError::Rejected(_) => self.rejected.inc(),
            ProcessError::RetryAfter(_) => self.postponed.inc(),
            ProcessError::Failed(_) => self.failed.inc(),
        }
    }

    /// A message that came into the queue at this time is recorded.
    pub(crate) fn recorded(&self, added_at: SystemTime) {
        let age = SystemTime::now().duration_since(added_at);
        // The clock of Redis may be ahead of ours.
        self.message_seconds
            .observe(age.unwrap_or_default().as_secs_f64());
    }
}
