//! What the group says to a consumer over HTTP.

use std::{error::Error, io, time::Duration};

use bytes::Bytes;
use protocol::{
    ConsumerId,
    http::{HEALTH, PROCESS_MESSAGE},
};
use reqwest::{
    Client, Response, StatusCode, Url,
    header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER},
};
use service_kit::{http_client, telemetry::chain};

use crate::delivery::Outcome;

/// How much of an answer is read, in bytes; a longer one is a failure.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

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
pub(crate) struct Target(Url);

impl Target {
    pub(crate) fn new(id: &ConsumerId) -> Result<Self, String> {
        Url::parse(&id.url(PROCESS_MESSAGE))
            .map(Self)
            .map_err(|error| error.to_string())
    }
}

/// A client for all consumers; clones share its connections.
#[derive(Debug, Clone)]
pub(crate) struct ConsumerClient {
    http: Client,
}

impl ConsumerClient {
    /// `attempt_timeout` bounds a delivery, from connecting to the end of the answer.
    pub(crate) fn new(attempt_timeout: Duration) -> reqwest::Result<Self> {
        Ok(Self {
            http: http_client::client(attempt_timeout)?,
        })
    }

    /// Hands a message to a consumer.
    pub(crate) async fn deliver(&self, target: Target, message: Bytes) -> Outcome {
        let request = self
            .http
            .post(target.0)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(message);
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => return failure(&error),
        };
        let status = answer.status();
        let retry_after = retry_after(&answer);
        // Read to its end, so that an answer that breaks off is noticed and the connection is kept.
        let body = match read(answer).await {
            Ok(body) => body,
            Err(outcome) => return outcome,
        };
        classify(status, retry_after, &body)
    }

    /// Asks a consumer whether it is well.
    pub(crate) async fn health(&self, id: &ConsumerId) -> Health {
        let request = self.http.get(id.url(HEALTH)).timeout(HEALTH_TIMEOUT);
        match request.send().await {
            Ok(answer) if answer.status().is_success() => Health::Up,
            Ok(answer) => Health::Down(format!("it answered {}", answer.status())),
            Err(error) if is_refused(&error) => Health::Gone,
            Err(error) => Health::Down(chain(&error)),
        }
    }
}

/// Whose fault an answer says it is.
fn classify(status: StatusCode, retry_after: Option<Duration>, body: &[u8]) -> Outcome {
    let describe = || {
        let shown = &body[..body.len().min(SHOWN_ANSWER_BYTES)];
        format!(
            "the consumer answered {status}: {}",
            String::from_utf8_lossy(shown)
        )
    };
    match status.as_u16() {
        200..=299 => Outcome::Delivered,
        400 | 404 | 405 | 413 | 415 | 422 => Outcome::Rejected(describe()),
        429 | 503 => Outcome::Busy(retry_after.unwrap_or(DEFAULT_RETRY_AFTER)),
        _ => Outcome::Failed(describe()),
    }
}

/// `Retry-After` in seconds; its other form, a date, is not worth a parser here (RFC 9110, 10.2.3).
fn retry_after(answer: &Response) -> Option<Duration> {
    let value = answer.headers().get(RETRY_AFTER)?.to_str().ok()?;
    value.parse().ok().map(Duration::from_secs)
}

async fn read(mut answer: Response) -> Result<Vec<u8>, Outcome> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| failure(&error))? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_ANSWER_BYTES {
            let error = format!("the consumer's answer is longer than {MAX_ANSWER_BYTES} bytes");
            return Err(Outcome::Failed(error));
        }
    }
    Ok(body)
}

fn failure(error: &reqwest::Error) -> Outcome {
    if error.is_connect() {
        Outcome::Unreachable(chain(error))
    } else if error.is_timeout() {
        Outcome::TimedOut
    } else {
        Outcome::Failed(chain(error))
    }
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
    use super::*;

    fn outcome(status: u16) -> Outcome {
        classify(StatusCode::from_u16(status).unwrap(), None, b"why")
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
    fn a_long_answer_is_not_shown_whole() {
        let outcome = classify(StatusCode::INTERNAL_SERVER_ERROR, None, &[b'x'; 10_000]);
        assert!(outcome.describe().len() < 300);
    }
}
