//! Bodies of `POST /messages/lease`, `/messages/settle` and `/messages/extend`.

use std::{num::NonZeroU32, ops::RangeInclusive, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, de::Error};
use serde_json::{Value, value::RawValue};
use utoipa::ToSchema;

use super::as_concurrency;
use crate::{
    Message,
    lease::{LeaseToken, WorkerName},
};

/// `POST` on the group: fetch messages.
pub const LEASE: &str = "/messages/lease";
/// `POST` on the group: say what fetched messages came to.
pub const SETTLE: &str = "/messages/settle";
/// `POST` on the group: keep fetched messages for longer.
pub const EXTEND: &str = "/messages/extend";

/// The most messages of one request.
pub const MAX_LEASES: usize = 1000;

/// How long a request waits for messages, in seconds.
const WAIT_SECONDS: RangeInclusive<f64> = 0.0..=30.0;

/// How long a lease lasts, in seconds.
const LEASE_SECONDS: RangeInclusive<f64> = 1.0..=43_200.0;

/// Request of `/messages/lease`.
#[derive(Debug, Clone, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LeaseRequest {
    /// What the worker calls itself; it stands in entries and in `/status`.
    #[schema(value_type = String, format = "worker-name", min_length = 1, max_length = 128)]
    pub consumer_id: WorkerName,
    /// How many messages at the most.
    #[serde(default = "one", deserialize_with = "max_messages")]
    #[schema(value_type = u32, minimum = 1, maximum = 1000, default = 1)]
    pub max_messages: usize,
    /// How long to wait for the first of them, in seconds.
    #[serde(default, deserialize_with = "wait_seconds", rename = "wait_seconds")]
    #[schema(value_type = f64, minimum = 0, maximum = 30, default = 0)]
    pub wait: Duration,
    /// How long they are the worker's, in seconds.
    #[serde(
        default = "half_a_minute",
        deserialize_with = "lease_seconds",
        rename = "lease_seconds"
    )]
    #[schema(value_type = f64, minimum = 1, maximum = 43_200, default = 30)]
    pub lasts: Duration,
}

/// How the answer of `/messages/lease` looks in the description of the API.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "it is there for its schema")]
pub struct LeasedMessages {
    /// What the worker got; none when none came in time.
    messages: Vec<LeasedMessage>,
}

/// A message that was fetched.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "it is there for its schema")]
struct LeasedMessage {
    /// What to settle it by.
    lease: LeaseText,
    /// As it was published.
    message: Message,
}

/// Request of `/messages/settle`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettleRequest<'a> {
    /// What the messages came to, each a [`LeaseOutcome`] as JSON.
    #[serde(borrow)]
    pub outcomes: Vec<&'a RawValue>,
}

/// What a fetched message came to: as a result of `POST /processMessages`, beside the lease.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeaseOutcome<'a> {
    /// Of which message.
    pub lease: LeaseToken,
    /// What `POST /processMessage` would have answered; 200 when it is left out.
    #[serde(default = "ok", deserialize_with = "status")]
    pub status: u16,
    /// `duplicate`.
    #[serde(default, deserialize_with = "text")]
    pub result: Value,
    /// What went wrong, in words.
    #[serde(default, deserialize_with = "text")]
    pub error: Value,
    /// After how many seconds to bring the message again.
    #[serde(default, deserialize_with = "retry_after")]
    pub retry_after: Value,
    /// What the group is to record.
    #[serde(default, borrow, deserialize_with = "object")]
    pub entry: Option<&'a RawValue>,
}

/// How the request of `/messages/settle` looks in the description of the API.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SettleRequest)]
#[expect(dead_code, reason = "it is there for its schema")]
pub struct SettleSchema {
    #[schema(max_items = 1000)]
    outcomes: Vec<LeaseOutcomeSchema>,
}

/// What a fetched message came to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LeaseOutcome)]
#[expect(dead_code, reason = "it is there for its schema")]
struct LeaseOutcomeSchema {
    lease: LeaseText,
    /// What `POST /processMessage` would have answered.
    #[schema(minimum = 100, maximum = 999, default = 200, nullable = false)]
    status: Option<u16>,
    /// `duplicate` when it had been processed before.
    #[schema(nullable = false)]
    result: Option<String>,
    /// What went wrong, in words.
    #[schema(nullable = false)]
    error: Option<String>,
    /// After how many seconds to bring the message again, with a status such as 500.
    #[schema(minimum = 0, nullable = false)]
    retry_after: Option<f64>,
    /// What the group is to record: names, and texts or any JSON.
    #[schema(value_type = Option<Object>, nullable = false)]
    entry: Option<Value>,
}

/// A lease, as `POST /messages/lease` gave it.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = Lease, value_type = String, format = "lease")]
#[expect(dead_code, reason = "it is there for its schema")]
struct LeaseText(String);

/// Request of `/messages/extend`.
#[derive(Debug, Clone, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExtendRequest {
    /// Which leases, as they were given.
    #[schema(value_type = Vec<LeaseText>, max_items = 1000)]
    pub leases: Vec<LeaseToken>,
    /// How long they last from now on, in seconds.
    #[serde(
        default = "half_a_minute",
        deserialize_with = "lease_seconds",
        rename = "lease_seconds"
    )]
    #[schema(value_type = f64, minimum = 1, maximum = 43_200, default = 30)]
    pub lasts: Duration,
}

/// Answer of `/messages/settle` and `/messages/extend`: what became of each, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LeaseResults {
    /// One for each.
    pub results: Vec<LeaseResult>,
}

/// What became of one of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LeaseResult {
    /// 200 when it is done. 409 when the lease has ended, or is another's: nothing was recorded. 412 when the queue has
    /// lost the message: nothing was recorded, it comes again. 422 when the entry cannot be recorded: the message
    /// comes again, as after a failure.
    pub status: u16,
    /// What is wrong, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub error: Option<String>,
}

fn one() -> usize {
    1
}

fn ok() -> u16 {
    200
}

fn half_a_minute() -> Duration {
    Duration::from_secs(30)
}

fn max_messages<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    whole(deserializer)?
        .and_then(|count| usize::try_from(count).ok())
        .filter(|count| (1..=MAX_LEASES).contains(count))
        .ok_or_else(|| {
            let why = format!("`max_messages` must be a whole number from 1 to {MAX_LEASES}");
            D::Error::custom(why)
        })
}

fn status<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    let status = whole(deserializer)?;
    status
        .and_then(|status| u16::try_from(status).ok())
        .filter(|status| (100..=999).contains(status))
        .ok_or_else(|| D::Error::custom("`status` must be an HTTP status, 100 to 999"))
}

/// A whole number of 1 to a million, also one such as `9.0`; no other value is one.
fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let number = Value::deserialize(deserializer)?.as_f64();
    Ok(number.and_then(as_concurrency).map(NonZeroU32::get))
}

fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
    String::deserialize(deserializer).map(Value::String)
}

fn object<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    let entry = <&RawValue>::deserialize(deserializer)?;
    let is_object = entry.get().starts_with('{');
    is_object
        .then_some(Some(entry))
        .ok_or_else(|| D::Error::custom("`entry` must be an object"))
}

fn retry_after<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
    let value = Value::deserialize(deserializer)?;
    match value.as_f64() {
        Some(0.0..) => Ok(value),
        _ => Err(D::Error::custom("`retry_after` must be a number from 0 on")),
    }
}

fn wait_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    seconds(deserializer, "wait_seconds", WAIT_SECONDS)
}

fn lease_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    seconds(deserializer, "lease_seconds", LEASE_SECONDS)
}

fn seconds<'de, D: Deserializer<'de>>(
    deserializer: D,
    name: &str,
    range: RangeInclusive<f64>,
) -> Result<Duration, D::Error> {
    let seconds = Value::deserialize(deserializer)?.as_f64();
    let seconds = seconds.filter(|seconds| range.contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| {
        let (least, most) = range.into_inner();
        let why = format!("`{name}` must be a number from {least} to {most}");
        D::Error::custom(why)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_needs_no_more_than_a_name() {
        let request: LeaseRequest = serde_json::from_str(r#"{"consumer_id":"a"}"#).unwrap();
        assert_eq!(request.max_messages, 1);
        assert_eq!(request.wait, Duration::ZERO);
        assert_eq!(request.lasts, Duration::from_secs(30));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (wrong, named) in [
            (r#""consumer_id":"a b""#, "`consumer_id`"),
            (r#""consumer_id":"a","max_messages":0"#, "`max_messages`"),
            (r#""consumer_id":"a","max_messages":1001"#, "`max_messages`"),
            (r#""consumer_id":"a","max_messages":-1"#, "`max_messages`"),
            (r#""consumer_id":"a","wait_seconds":31"#, "`wait_seconds`"),
            (
                r#""consumer_id":"a","lease_seconds":1e300"#,
                "`lease_seconds`",
            ),
            (
                r#""consumer_id":"a","lease_seconds":"5""#,
                "`lease_seconds`",
            ),
            (r#""consumer_id":"a","leas_seconds":5"#, "leas_seconds"),
            ("", "consumer_id"),
        ] {
            let text = format!("{{{wrong}}}");
            let error = serde_json::from_str::<LeaseRequest>(&text).unwrap_err();
            assert!(error.to_string().contains(named), "{text}: {error}");
        }
    }
}
