//! What the group says to a consumer over HTTP.

use std::{error::Error, io, time::Duration};

use bytes::Bytes;
use hyper::header::{HeaderValue, InvalidHeaderValue};
use protocol::{
    ConsumerId,
    http::{HEALTH, ProcessingResult},
};
use reqwest::Client;
use serde::Deserialize;
use service_kit::{http_client, telemetry::chain};
use tokio::time::timeout;

use crate::{
    delivery::Outcome,
    lane::{Answer, Lane, LaneError},
};

/// How much of an error answer goes into `last_error`, in bytes.
const SHOWN_ANSWER_BYTES: usize = 200;

/// How long a health check may take.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a busy consumer is left alone when it does not say.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(1);

/// What a health check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Health {
    /// The consumer answers and takes messages.
    Up,
    /// Nothing listens at its address.
    Gone,
    /// It does not answer, or says that it is not well.
    Down(String),
}

/// Where a consumer takes messages.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    consumer: ConsumerId,
    host: HeaderValue,
}

impl Target {
    pub(crate) fn new(consumer: &ConsumerId) -> Result<Self, InvalidHeaderValue> {
        let host = HeaderValue::from_str(consumer.as_str())?;
        Ok(Self {
            consumer: consumer.clone(),
            host,
        })
    }
}

/// A client for all consumers; clones share its connections for health checks.
#[derive(Debug, Clone)]
pub(crate) struct ConsumerClient {
    http: Client,
    attempt_timeout: Duration,
}

impl ConsumerClient {
    /// `attempt_timeout` bounds a delivery, from connecting to the end of the answer.
    pub(crate) fn new(attempt_timeout: Duration) -> reqwest::Result<Self> {
        Ok(Self {
            http: http_client::client(HEALTH_TIMEOUT)?,
            attempt_timeout,
        })
    }

    /// Hands a message to a consumer on an idle lane or a new one; also answers the lane, if it can
    /// be used again.
    pub(crate) async fn deliver(
        &self,
        target: Target,
        idle: Option<Lane>,
        message: Bytes,
    ) -> (Outcome, Option<Lane>) {
        match timeout(self.attempt_timeout, exchange(target, idle, message)).await {
            Ok(Ok((answer, lane))) => (classify(&answer), Some(lane)),
            Ok(Err(error @ LaneError::Connect(_))) => (Outcome::Unreachable(chain(&error)), None),
            Ok(Err(error)) => (Outcome::Failed(chain(&error)), None),
            Err(_) => (Outcome::TimedOut, None),
        }
    }

    /// Asks a consumer whether it is well.
    pub(crate) async fn health(&self, id: &ConsumerId) -> Health {
        match self.http.get(id.url(HEALTH)).send().await {
            Ok(answer) if answer.status().is_success() => Health::Up,
            Ok(answer) => Health::Down(format!("it answered {}", answer.status())),
            Err(error) if is_refused(&error) => Health::Gone,
            Err(error) => Health::Down(chain(&error)),
        }
    }
}

async fn exchange(
    target: Target,
    idle: Option<Lane>,
    message: Bytes,
) -> Result<(Answer, Lane), LaneError> {
    if let Some(mut lane) = idle.filter(|lane| !lane.is_stale()) {
        match lane.send(target.host.clone(), message.clone()).await {
            Ok(answer) => return Ok((answer, lane)),
            // The consumer closed it while it was idle; it has not seen the message.
            Err(LaneError::Unsent) => {}
            Err(error) => return Err(error),
        }
    }
    let mut lane = Lane::open(&target.consumer).await?;
    let answer = lane.send(target.host, message).await?;
    Ok((answer, lane))
}

/// Whose fault an answer says it is.
fn classify(answer: &Answer) -> Outcome {
    let status = answer.status;
    let describe = || {
        let shown = &answer.body[..answer.body.len().min(SHOWN_ANSWER_BYTES)];
        format!(
            "the consumer answered {status}: {}",
            String::from_utf8_lossy(shown)
        )
    };
    match status.as_u16() {
        200..=299 if is_duplicate(&answer.body) => Outcome::Duplicate,
        200..=299 => Outcome::Delivered,
        400 | 404 | 405 | 413 | 415 | 422 => Outcome::Rejected(describe()),
        429 | 503 => Outcome::Busy(answer.retry_after.unwrap_or(DEFAULT_RETRY_AFTER)),
        // So a consumer says that neither it nor the message is at fault, such as when Redis, where
        // it stores what it processed, does not take it.
        500..=599 if let Some(wait) = answer.retry_after => Outcome::Busy(wait),
        _ => Outcome::Failed(describe()),
    }
}

/// Whether a consumer says that the message had been processed before. Any other answer is its own.
fn is_duplicate(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Said {
        result: ProcessingResult,
    }
    serde_json::from_slice(body).is_ok_and(|Said { result }| result == ProcessingResult::Duplicate)
}

/// Whether the other machine said that nothing listens at the address.
fn is_refused(error: &reqwest::Error) -> bool {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(cause) = next {
        if let Some(io) = cause.downcast_ref::<io::Error>()
            && io.kind() == io::ErrorKind::ConnectionRefused
        {
            return true;
        }
        next = cause.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use hyper::StatusCode;

    use super::*;

    fn answer(status: u16, body: &'static [u8]) -> Outcome {
        let status = StatusCode::from_u16(status).unwrap();
        classify(&Answer {
            status,
            retry_after: None,
            body: Bytes::from_static(body),
        })
    }

    fn outcome(status: u16) -> Outcome {
        answer(status, b"why")
    }

    #[test]
    fn the_status_says_whose_fault_it_is() {
        for status in [200, 201, 204] {
            assert_eq!(outcome(status), Outcome::Delivered, "{status}");
        }
        for status in [400, 404, 405, 413, 415, 422] {
            assert!(matches!(outcome(status), Outcome::Rejected(_)), "{status}");
        }
        for status in [301, 401, 403, 408, 409, 500, 502, 504] {
            assert!(matches!(outcome(status), Outcome::Failed(_)), "{status}");
        }
        for status in [429, 503] {
            assert_eq!(
                outcome(status),
                Outcome::Busy(DEFAULT_RETRY_AFTER),
                "{status}"
            );
        }
    }

    #[test]
    fn a_failure_that_asks_to_come_again_later_is_a_busy_consumer() {
        let wait = Duration::from_secs(7);
        let answer = Answer {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            retry_after: Some(wait),
            body: Bytes::new(),
        };
        assert_eq!(classify(&answer), Outcome::Busy(wait));
    }

    #[test]
    fn a_duplicate_is_one_only_when_the_consumer_says_so() {
        assert_eq!(
            answer(200, br#"{"result":"duplicate"}"#),
            Outcome::Duplicate
        );
        for said in [&b"duplicate"[..], b"{}", br#"{"result":"created"}"#, b"[1]"] {
            assert_eq!(answer(200, said), Outcome::Delivered);
        }
        assert!(matches!(
            answer(500, br#"{"result":"duplicate"}"#),
            Outcome::Failed(_)
        ));
    }

    #[test]
    fn a_long_answer_is_not_shown_whole() {
        let outcome = answer(500, &[b'x'; 10_000]);
        assert!(outcome.describe().len() < 300);
    }
}
