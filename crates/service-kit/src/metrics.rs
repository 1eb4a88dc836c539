//! `GET /metrics`: what a service tells Prometheus, in its text format 0.0.4.
//!
//! Most of it is known elsewhere in the service and only read when Prometheus asks: that is what a
//! [`Scrape`] is for. What has to be counted as it happens lasts in a [`MetricRegistry`].

use std::fmt::Display;

use axum::{
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
};
use prometheus::{
    Encoder, Gauge, HistogramOpts, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
    core::Collector, process_collector::ProcessCollector,
};
pub use prometheus::{Error as MetricError, Histogram, IntCounter as Counter, IntCounterVec};
use tracing::error;

use crate::{build::Build, telemetry};

/// The path, on every service.
pub const METRICS: &str = "/metrics";

/// The upper bounds of the buckets of times, in seconds: from a request within one machine to a message
/// that waited for hours.
pub const SECONDS: [f64; 18] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    120.0, 600.0, 3600.0,
];

/// The upper bounds of the buckets of how many messages there are in one piece.
pub const MESSAGES: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

/// What every service tells of its log.
const DROPPED_LINES: Metric<'_> = Metric {
    name: "log_lines_dropped_total",
    help: "Log lines dropped because nobody read the log, or it could not be written.",
};

/// A name, its labels, and what it means.
#[derive(Debug, Clone, Copy)]
pub struct Metric<'a> {
    /// As Prometheus wants it: base units, `_total` for counters.
    pub name: &'a str,
    /// One sentence.
    pub help: &'a str,
}

impl Metric<'_> {
    fn opts(self) -> Opts {
        Opts::new(self.name, self.help)
    }
}

/// What is counted as it happens; clones share it.
#[derive(Debug, Clone)]
pub struct MetricRegistry(Registry);

impl Default for MetricRegistry {
    /// With the process itself: its memory, its time, its files.
    fn default() -> Self {
        let metrics = Self(Registry::new());
        metrics.keep(ProcessCollector::for_self());
        metrics
    }
}

impl MetricRegistry {
    /// A histogram with these buckets. It counts within nanoseconds, and without a lock.
    ///
    /// # Errors
    /// When the name is none, or the bounds do not grow.
    pub fn histogram(&self, metric: Metric<'_>, buckets: &[f64]) -> prometheus::Result<Histogram> {
        let opts = HistogramOpts::new(metric.name, metric.help).buckets(buckets.to_vec());
        let histogram = Histogram::with_opts(opts)?;
        self.keep(histogram.clone());
        Ok(histogram)
    }

    /// A counter.
    ///
    /// # Errors
    /// When the name is none.
    pub fn counter(&self, metric: Metric<'_>) -> prometheus::Result<Counter> {
        let counter = Counter::with_opts(metric.opts())?;
        self.keep(counter.clone());
        Ok(counter)
    }

    /// Counters, one for each set of labels.
    ///
    /// # Errors
    /// When a name is none.
    pub fn counters(
        &self,
        metric: Metric<'_>,
        labels: &[&str],
    ) -> prometheus::Result<IntCounterVec> {
        let counters = IntCounterVec::new(metric.opts(), labels)?;
        self.keep(counters.clone());
        Ok(counters)
    }

    fn keep(&self, collector: impl Collector + 'static) {
        register(&self.0, collector);
    }
}

/// One answer of `GET /metrics`.
#[derive(Debug)]
pub struct Scrape {
    read: Registry,
    lasting: MetricRegistry,
}

impl Scrape {
    /// An answer with all that lasts; what is read now is to be added.
    #[must_use]
    pub fn new(lasting: MetricRegistry) -> Self {
        let read = Registry::new();
        Self { read, lasting }
    }

    /// A count since the start.
    pub fn counter(&self, metric: Metric<'_>, value: u64) {
        self.add(Counter::with_opts(metric.opts()), |counter| {
            counter.inc_by(value);
        });
    }

    /// How many there are now.
    pub fn count(&self, metric: Metric<'_>, value: u64) {
        self.add(IntGauge::with_opts(metric.opts()), |gauge| {
            gauge.set(int(value));
        });
    }

    /// How much there is now.
    pub fn gauge(&self, metric: Metric<'_>, value: f64) {
        self.add(Gauge::with_opts(metric.opts()), |gauge| gauge.set(value));
    }

    /// How much has come together since the start, of what is no whole number.
    pub fn sum(&self, metric: Metric<'_>, value: f64) {
        self.add(prometheus::Counter::with_opts(metric.opts()), |counter| {
            counter.inc_by(value.max(0.0));
        });
    }

    /// Counts since the start, one for each set of labels.
    pub fn counters<L: Display, const N: usize>(
        &self,
        metric: Metric<'_>,
        labels: [&str; N],
        values: impl IntoIterator<Item = ([L; N], u64)>,
    ) {
        self.add(IntCounterVec::new(metric.opts(), &labels), |counters| {
            for (labels, value) in values {
                counters.with_label_values(&texts(&labels)).inc_by(value);
            }
        });
    }

    /// How many there are now, for each set of labels.
    pub fn counts<L: Display, const N: usize>(
        &self,
        metric: Metric<'_>,
        labels: [&str; N],
        values: impl IntoIterator<Item = ([L; N], u64)>,
    ) {
        self.add(IntGaugeVec::new(metric.opts(), &labels), |gauges| {
            for (labels, value) in values {
                gauges.with_label_values(&texts(&labels)).set(int(value));
            }
        });
    }

    /// A constant 1 whose labels tell what the program was built from.
    pub fn build(&self, metric: Metric<'_>, build: &Build) {
        let [names, values] = build.labels();
        self.add(IntGaugeVec::new(metric.opts(), &names), |gauges| {
            gauges.with_label_values(&values).set(1);
        });
    }

    fn add<C: Collector + Clone + 'static>(
        &self,
        made: prometheus::Result<C>,
        fill: impl FnOnce(&C),
    ) {
        match made {
            Ok(collector) => {
                fill(&collector);
                register(&self.read, collector);
            }
            Err(cause) => error!(%cause, "a metric is missing"),
        }
    }
}

fn register(registry: &Registry, collector: impl Collector + 'static) {
    if let Err(cause) = registry.register(Box::new(collector)) {
        error!(%cause, "a metric is missing");
    }
}

fn texts<L: Display, const N: usize>(labels: &[L; N]) -> [String; N] {
    labels.each_ref().map(ToString::to_string)
}

fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

impl IntoResponse for Scrape {
    fn into_response(self) -> Response {
        self.counter(DROPPED_LINES, telemetry::dropped_lines());
        let mut families = self.lasting.0.gather();
        families.extend(self.read.gather());
        let (encoder, mut text) = (TextEncoder::new(), Vec::new());
        if let Err(cause) = encoder.encode(&families, &mut text) {
            error!(%cause, "cannot write the metrics");
        }
        let format = encoder.format_type().to_owned();
        ([(CONTENT_TYPE, format)], text).into_response()
    }
}
