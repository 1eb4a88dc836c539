//! Spans of both services, as an OpenTelemetry collector gets them.

use anyhow::{Context, Result};
use harness::{
    Bus, FakeServer, PATIENCE, PrivateRedis, Reply, Service,
    services::{consumer, fixed_port, group, log_of, redis},
    wait_until,
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value},
    trace::v1::Span,
};
use prost::Message as _;
use serde_json::json;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PUBLISHER: &str = "00f067aa0ba902b7";

/// A span and the service it is of.
#[derive(Debug, Clone)]
struct Sent {
    service: String,
    span: Span,
}

impl Sent {
    fn attribute(&self, name: &str) -> Option<String> {
        text_of(&self.span.attributes, name)
    }
}

fn text_of(attributes: &[KeyValue], name: &str) -> Option<String> {
    let found = attributes.iter().find(|one| one.key == name)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        _ => None,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn collector() -> Result<FakeServer> {
    FakeServer::start(|_| Reply::Answer(200, Vec::new(), String::new())).await
}

/// Every span the collector has got.
fn spans(collector: &FakeServer) -> Result<Vec<Sent>> {
    let mut spans = Vec::new();
    for request in collector.requests("/v1/traces") {
        let kind = request.header("content-type");
        assert_eq!(kind, Some("application/x-protobuf"));
        let export = ExportTraceServiceRequest::decode(request.body.as_slice())?;
        for of_service in export.resource_spans {
            let resource = of_service.resource.context("no resource")?;
            let service = text_of(&resource.attributes, "service.name").context("no name")?;
            let of_service = of_service.scope_spans.into_iter();
            spans.extend(of_service.flat_map(|scope| scope.spans).map(|span| Sent {
                service: service.clone(),
                span,
            }));
        }
    }
    Ok(spans)
}

async fn wait_for_spans(collector: &FakeServer, count: usize) -> Result<Vec<Sent>> {
    let what = format!("{count} spans");
    wait_until(&what, PATIENCE, async || {
        Ok(spans(collector)?.len() >= count)
    })
    .await?;
    spans(collector)
}

fn message(id: &str, flags: &str) -> String {
    let parent = format!("00-{TRACE}-{PUBLISHER}-{flags}");
    json!({ "message_id": id, "traceparent": parent }).to_string()
}

/// A group and a consumer that send their spans there.
async fn services(
    redis: &PrivateRedis,
    collector: &str,
    args: &[&str],
) -> Result<(Service, Service)> {
    let endpoint = ["--otlpEndpoint", collector];
    let group = group(redis, &[&endpoint, args].concat()).await?;
    let consumer = consumer(redis, &group, &endpoint).await?;
    Ok((group, consumer))
}

#[tokio::test]
async fn a_recorded_message_is_a_delivery_and_its_processing_under_the_publishers_span()
-> Result<()> {
    let (redis, collector) = (redis().await?, collector().await?);
    let url = format!("http://{}", collector.address());
    let (_group, consumer) = services(&redis, &url, &["--maxBatch", "1"]).await?;
    let bus = Bus::of(&redis);
    bus.publish(&message("not recorded", "00")).await?;
    bus.publish(r#"{"message_id":"without"}"#).await?;
    bus.publish(&message("recorded", "01")).await?;
    bus.wait_for_processed(3).await?;
    let spans = wait_for_spans(&collector, 2).await?;
    assert_eq!(spans.len(), 2, "{spans:?}");
    let find = |name: &str| {
        let found = spans.iter().find(|sent| sent.span.name == name);
        found.with_context(|| format!("no {name} in {spans:?}"))
    };
    let (deliver, process) = (find("deliver")?, find("process")?);
    assert_eq!(deliver.service, "consumer-group-app");
    assert_eq!(process.service, "consumer-app");
    assert_eq!(hex(&deliver.span.parent_span_id), PUBLISHER);
    assert_eq!(process.span.parent_span_id, deliver.span.span_id);
    for sent in [deliver, process] {
        assert_eq!(hex(&sent.span.trace_id), TRACE);
        assert_eq!(sent.attribute("message.id").as_deref(), Some("recorded"));
        assert_eq!(
            sent.attribute("consumer.id").as_deref(),
            consumer.consumer_id()
        );
        assert!(sent.span.end_time_unix_nano > sent.span.start_time_unix_nano);
    }
    assert_eq!(deliver.attribute("outcome").as_deref(), Some("delivered"));
    Ok(())
}

#[tokio::test]
async fn the_messages_of_a_batch_have_spans_of_their_own() -> Result<()> {
    let (redis, collector) = (redis().await?, collector().await?);
    let url = format!("http://{}/v1/traces/", collector.address());
    let endpoint = ["--otlpEndpoint", &url];
    let group = group(&redis, &endpoint).await?;
    let bus = Bus::of(&redis);
    // They wait for the consumer, and so go together.
    for number in 0..200 {
        bus.publish(&message(&number.to_string(), "01")).await?;
    }
    let _consumer = consumer(&redis, &group, &endpoint).await?;
    bus.wait_for_processed(200).await?;
    let spans = wait_for_spans(&collector, 400).await?;
    assert_eq!(spans.len(), 400);
    for sent in &spans {
        assert_eq!(hex(&sent.span.trace_id), TRACE);
    }
    let of = |name: &str| spans.iter().filter(|sent| sent.span.name == name).count();
    assert_eq!((of("deliver"), of("process")), (200, 200));
    let deliveries = spans.iter().filter(|sent| sent.span.name == "deliver");
    for sent in deliveries {
        assert_eq!(hex(&sent.span.parent_span_id), PUBLISHER);
    }
    Ok(())
}

#[tokio::test]
async fn the_last_spans_are_sent_at_the_end() -> Result<()> {
    let (redis, collector) = (redis().await?, collector().await?);
    let url = format!("http://{}", collector.address());
    let (mut group, mut consumer) = services(&redis, &url, &[]).await?;
    let bus = Bus::of(&redis);
    bus.publish(&message("last", "01")).await?;
    bus.wait_for_processed(1).await?;
    for service in [&mut group, &mut consumer] {
        assert_eq!(service.terminate(PATIENCE).await?.code(), Some(0));
    }
    assert_eq!(spans(&collector)?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn without_the_collector_messages_go_on_and_few_lines_tell_of_it() -> Result<()> {
    let redis = redis().await?;
    let url = format!("http://127.0.0.1:{}", fixed_port()?);
    let (mut group, mut consumer) = services(&redis, &url, &[]).await?;
    let bus = Bus::of(&redis);
    for number in 0..50 {
        bus.publish(&message(&number.to_string(), "01")).await?;
    }
    bus.wait_for_processed(50).await?;
    group.wait_for_log("cannot send spans", PATIENCE).await?;
    for number in 50..100 {
        bus.publish(&message(&number.to_string(), "01")).await?;
    }
    bus.wait_for_processed(100).await?;
    for service in [&mut group, &mut consumer] {
        assert_eq!(service.terminate(PATIENCE).await?.code(), Some(0));
        let log = log_of(service).into_iter();
        let is_told = |line: &serde_json::Value| {
            line["message"]
                .as_str()
                .is_some_and(|text| text.contains("spans"))
        };
        let told = log.filter(is_told).count();
        assert!((1..=3).contains(&told), "{told} lines");
    }
    Ok(())
}
