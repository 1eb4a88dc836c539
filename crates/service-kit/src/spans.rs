//! Spans for a collector: OpenTelemetry over HTTP and protobuf, off unless an endpoint is set.
//!
//! A span is made for work whose parent is recorded, and for nothing else, so whoever begins a trace says
//! how much there is of it. The SDK's own thread sends finished spans; what it cannot send is dropped.

use std::{sync::OnceLock, time::Duration};

use axum::http::Uri;
use opentelemetry::{
    Context, KeyValue, SpanId, TraceFlags, TraceId,
    trace::{
        Span as _, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt, TraceState, Tracer,
        TracerProvider,
    },
};
use opentelemetry_otlp::{ExporterBuildError, WithExportConfig};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{
        BatchConfigBuilder, BatchSpanProcessor, SdkTracer, SdkTracerProvider, SpanData,
        SpanExporter,
    },
};
use serde::{Deserialize, Deserializer, de::Error};
use tracing::warn;

use crate::{
    log_throttle::LogThrottle,
    settings::{Program, Setting, ValueKind},
    telemetry::chain,
};

/// The setting of the section `[telemetry]`; every [`Program`] has it.
pub(crate) const SETTINGS: &[Setting] = &[Setting {
    key: "telemetry.otlp_endpoint",
    flag: "otlpEndpoint",
    value_name: "URL",
    kind: ValueKind::Url(|text| Collector::parse(text).map(drop)),
    default: None,
    help: "OpenTelemetry collector that spans go to (OTLP over HTTP), such as http://127.0.0.1:4318; \
           without it there are none",
    heading: "General",
}];

/// How many finished spans wait to be sent; more are dropped.
pub const MAX_WAITING_SPANS: usize = 8192;

/// How many spans are sent at once.
const BATCH: usize = 512;

/// How long a span waits for others.
const SEND_EVERY: Duration = Duration::from_secs(1);

/// How long the collector may take to answer.
const SEND_TIMEOUT: Duration = Duration::from_secs(3);

/// How long the last spans may take at the end of the process.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// How often a warning may repeat.
const WARN_EVERY: Duration = Duration::from_secs(10);

/// Spans are the process's, as its log is.
static TRACER: OnceLock<SdkTracer> = OnceLock::new();

/// Section `[telemetry]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TelemetrySettings {
    otlp_endpoint: Option<Collector>,
}

/// The URL spans are posted to.
#[derive(Debug, Clone)]
struct Collector(String);

impl Collector {
    fn parse(text: &str) -> Result<Self, String> {
        let is_collector = text.parse::<Uri>().is_ok_and(|uri| {
            let authority = uri.authority().map_or("", |authority| authority.as_str());
            let place = authority.rsplit(['@', ']']).next().unwrap_or_default();
            uri.scheme_str() == Some("http")
                && uri.host().is_some_and(|host| !host.is_empty())
                && uri.query().is_none()
                // A port that is no port reads as none.
                && place.contains(':') == uri.port_u16().is_some()
        });
        if !is_collector || text.contains('#') {
            return Err("expected http://host:port".to_owned());
        }
        let base = text.trim_end_matches('/');
        let base = base.strip_suffix("/v1/traces").unwrap_or(base);
        Ok(Self(format!("{base}/v1/traces")))
    }
}

impl<'de> Deserialize<'de> for Collector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(D::Error::custom)
    }
}

/// What sends spans, from its start to its end.
#[derive(Debug)]
pub(crate) struct Export(Option<SdkTracerProvider>);

impl Export {
    /// Starts to send spans, if there is where to. Not to be called by a task: it makes a thread that blocks.
    pub(crate) fn start(
        settings: &TelemetrySettings,
        program: &Program,
    ) -> Result<Self, ExporterBuildError> {
        let Some(Collector(url)) = &settings.otlp_endpoint else {
            return Ok(Self(None));
        };
        let sender = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_endpoint(url)
            .with_timeout(SEND_TIMEOUT)
            .build()?;
        let failures = LogThrottle::every(WARN_EVERY);
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(MAX_WAITING_SPANS)
            .with_max_export_batch_size(BATCH)
            .with_scheduled_delay(SEND_EVERY)
            .build();
        let processor = BatchSpanProcessor::builder(Sender { sender, failures })
            .with_batch_config(batches)
            .build();
        let resource = Resource::builder()
            .with_service_name(program.name)
            .with_attribute(KeyValue::new("service.version", program.build.version))
            .build();
        let provider = SdkTracerProvider::builder()
            .with_span_processor(processor)
            .with_resource(resource)
            .build();
        TRACER.get_or_init(|| provider.tracer(program.name));
        Ok(Self(Some(provider)))
    }

    /// Sends what is left, within a bound.
    pub(crate) fn stop(self) {
        if let Some(provider) = self.0
            && let Err(cause) = provider.shutdown_with_timeout(FLUSH_TIMEOUT)
        {
            warn!(cause = chain(&cause), "the last spans could not be sent");
        }
    }
}

/// Sends spans, and says so when it cannot.
#[derive(Debug)]
struct Sender {
    sender: opentelemetry_otlp::SpanExporter,
    failures: LogThrottle,
}

impl SpanExporter for Sender {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let sent = self.sender.export(batch).await;
        if let Err(cause) = &sent
            && let Some(suppressed) = self.failures.due()
        {
            let cause = chain(cause);
            warn!(
                cause,
                spans, suppressed, "cannot send spans to the collector; they are dropped"
            );
        }
        sent
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.sender.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.sender.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.sender.set_resource(resource);
    }
}

/// What a span does for its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It asks another service, which goes on with the trace.
    Client,
    /// It processes a message.
    Consumer,
}

/// A recorded span of this or another process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parent {
    /// Its trace.
    pub trace_id: u128,
    /// Itself.
    pub span_id: u64,
}

/// A piece of work as a collector will show it. It ends when it is dropped.
#[derive(Debug)]
pub struct Span(opentelemetry_sdk::trace::Span);

/// Whether spans are sent at all; where not, nobody need look for a parent.
#[must_use]
pub fn are_on() -> bool {
    TRACER.get().is_some()
}

impl Span {
    /// Begins a span; `None` when spans are off.
    #[must_use]
    pub fn begin(name: &'static str, kind: Kind, parent: Parent) -> Option<Self> {
        let tracer = TRACER.get()?;
        let parent = SpanContext::new(
            TraceId::from_bytes(parent.trace_id.to_be_bytes()),
            SpanId::from_bytes(parent.span_id.to_be_bytes()),
            TraceFlags::SAMPLED,
            true,
            TraceState::NONE,
        );
        let kind = match kind {
            Kind::Client => SpanKind::Client,
            Kind::Consumer => SpanKind::Consumer,
        };
        let context = Context::new().with_remote_span_context(parent);
        let span = SpanBuilder::from_name(name).with_kind(kind);
        Some(Self(tracer.build_with_context(span, &context)))
    }

    /// What others name as their parent.
    #[must_use]
    pub fn id(&self) -> u64 {
        u64::from_be_bytes(self.0.span_context().span_id().to_bytes())
    }

    /// Notes something about the work.
    pub fn note(&mut self, name: &'static str, value: String) {
        self.0.set_attribute(KeyValue::new(name, value));
    }

    /// Notes that the work failed.
    pub fn fail(&mut self, why: String) {
        self.0.set_status(Status::error(why));
    }
}
