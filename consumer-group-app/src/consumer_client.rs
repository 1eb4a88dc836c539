//! What the group says to a consumer over HTTP.

mod punctual;
mod said;
mod verdict;

use std::{io, time::Duration};

use hyper::header::{HeaderValue, InvalidHeaderValue};
use protocol::{
    ConsumerId,
    http::{ConsumerHealth, GROUP, HEALTH},
};
use reqwest::{Client, Response, StatusCode};
use service_kit::{http_client, resolver::Resolver, telemetry::chain};
use tokio::time::{Instant, timeout_at};

use self::punctual::punctual;
pub(crate) use self::verdict::Outcomes;
use crate::{
    delivery::Outcome,
    lane::{Answer, Lane, LaneError, Parcel},
    own_fault::{OwnFaults, io_causes},
};

/// The most bytes of a health check's answer that are read.
const MAX_HEALTH_BYTES: usize = 4096;

/// How long a health check may take.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);

/// What a health check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Health {
    /// The consumer answers and takes messages.
    Up {
        /// How many it says it takes in one request, if it takes more than one.
        max_batch: Option<u32>,
    },
    /// Nothing listens at its address.
    Gone,
    /// What answers is a group, this one or another.
    NoConsumer,
    /// It does not answer, or says that it is not well.
    Down(String),
    /// The check tells nothing of the consumer: it could not be asked, by a fault on this side, or this
    /// process itself was held up.
    Unknown(String),
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
    own_faults: OwnFaults,
    resolver: Resolver,
    attempt_timeout: Duration,
}

impl ConsumerClient {
    /// `attempt_timeout` bounds a delivery, from connecting to the end of the answer.
    pub(crate) fn new(attempt_timeout: Duration) -> reqwest::Result<Self> {
        let resolver = Resolver::default();
        Ok(Self {
            http: http_client::client(HEALTH_TIMEOUT, resolver.clone())?,
            resolver,
            own_faults: OwnFaults::new(),
            attempt_timeout,
        })
    }

    /// Hands messages to a consumer on an idle lane or a new one; also answers the lane, if it can be
    /// used again.
    pub(crate) async fn deliver(
        &self,
        target: Target,
        idle: Option<Lane>,
        parcel: Parcel,
    ) -> (Outcomes, Option<Lane>) {
        let (messages, consumer) = (parcel.messages, target.consumer.clone());
        let deadline = Instant::now() + self.attempt_timeout;
        let outcome = match self.exchange(target, idle, parcel, deadline).await {
            Ok((answer, lane)) => {
                let outcomes = match messages {
                    1 => Outcomes::All(verdict::of_message(&answer)),
                    _ => verdict::of_batch(&answer, messages),
                };
                return (outcomes, lane);
            }
            Err(error @ LaneError::Connect(_)) => match self.own_faults.notice(&consumer, &error) {
                Some(error) => Outcome::OwnFault(error),
                None => Outcome::Unreachable(chain(&error)),
            },
            Err(LaneError::Late) => Outcome::TimedOut,
            Err(error) => Outcome::Failed(chain(&error)),
        };
        (Outcomes::All(outcome), None)
    }

    /// Asks a consumer whether it is well, and what it takes.
    pub(crate) async fn health(&self, id: &ConsumerId) -> Health {
        match punctual(self.ask(id)).await {
            (Health::Down(cause), Some(late)) => Health::Unknown(format!(
                "{cause}, but this process was held up for {late:?}"
            )),
            (health, _) => health,
        }
    }

    async fn ask(&self, id: &ConsumerId) -> Health {
        match self.http.get(id.url(HEALTH)).send().await {
            Ok(answer) if answer.headers().contains_key(GROUP) => Health::NoConsumer,
            Ok(answer) if answer.status() == StatusCode::OK => Health::Up {
                max_batch: max_batch(answer).await,
            },
            Ok(answer) => Health::Down(format!("it answered {}", answer.status())),
            Err(error) if is_refused(&error) => Health::Gone,
            Err(error) => match self.own_faults.notice(id, &error) {
                Some(error) => Health::Unknown(error),
                None => Health::Down(chain(&error)),
            },
        }
    }

    async fn exchange(
        &self,
        target: Target,
        idle: Option<Lane>,
        parcel: Parcel,
        deadline: Instant,
    ) -> Result<(Answer, Option<Lane>), LaneError> {
        if let Some(mut lane) = idle.filter(|lane| !lane.is_stale()) {
            match lane
                .send(target.host.clone(), parcel.clone(), deadline)
                .await
            {
                Ok(answer) => return Ok(with_lane(answer, lane)),
                // The consumer closed it while it was idle; it has not seen the messages.
                Err(LaneError::Unsent) => {}
                Err(error) => return Err(error),
            }
        }
        let opening = timeout_at(deadline, Lane::open(&target.consumer, &self.resolver)).await;
        let mut lane = opening.unwrap_or(Err(LaneError::Late))?;
        let answer = lane.send(target.host, parcel, deadline).await?;
        Ok(with_lane(answer, lane))
    }
}

/// What a consumer that is well says of batches; whatever else it says is its own.
async fn max_batch(mut answer: Response) -> Option<u32> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.ok()? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_HEALTH_BYTES {
            return None;
        }
    }
    let said: ConsumerHealth = serde_json::from_slice(&body).ok()?;
    said.max_batch
}

/// The lane of an answer, if it can be used again.
fn with_lane(answer: Answer, lane: Lane) -> (Answer, Option<Lane>) {
    let is_whole = answer.lost.is_none();
    (answer, is_whole.then_some(lane))
}

/// Whether the other machine said that nothing listens at the address.
fn is_refused(error: &reqwest::Error) -> bool {
    io_causes(error).any(|cause| cause.kind() == io::ErrorKind::ConnectionRefused)
}
