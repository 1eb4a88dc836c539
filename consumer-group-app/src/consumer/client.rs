//! What the group says to a consumer over HTTP.

mod classify;
mod punctual;
mod request;
mod response_body;

use std::{io, num::NonZeroU32, time::Duration};

use hyper::{
    StatusCode,
    header::{HeaderValue, InvalidHeaderValue},
};
use protocol::{
    ConsumerId,
    http::{GROUP, as_concurrency},
};
use serde_json::Value;
use service_kit::{resolver::Resolver, telemetry::chain};
use tokio::time::{Instant, timeout_at};

use self::punctual::punctual;
pub(crate) use self::{classify::Outcomes, request::Parcel};
use crate::{
    consumer::{
        connection::{Answer, Lane, LaneError, Lost},
        own_fault::{OwnFaults, io_causes},
    },
    delivery::Outcome,
};

/// The most bytes of a health check's answer that are read.
const MAX_HEALTH_BYTES: usize = 4096;

/// How long a health check may take.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);

/// What a health check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Health {
    /// The consumer answers and takes messages.
    Up(Capacity),
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

/// What a consumer that is well says of how much it takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Capacity {
    /// How many messages in one request, if it takes more than one.
    pub(crate) max_batch: Option<u32>,
    /// How many messages it works on at once, if it knows.
    pub(crate) concurrency: Option<NonZeroU32>,
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

/// How a request ended.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) outcomes: Outcomes,
    /// The lane, if it can be used again.
    pub(crate) lane: Option<Lane>,
    /// How long the consumer says it worked.
    pub(crate) work: Option<Duration>,
}

/// A client for all consumers; clones share what it knows of names and faults.
#[derive(Debug, Clone)]
pub(crate) struct ConsumerClient {
    own_faults: OwnFaults,
    resolver: Resolver,
    attempt_timeout: Duration,
}

impl ConsumerClient {
    /// `attempt_timeout` bounds a delivery, from connecting to the end of the answer.
    pub(crate) fn new(attempt_timeout: Duration) -> Self {
        Self {
            own_faults: OwnFaults::new(),
            resolver: Resolver::default(),
            attempt_timeout,
        }
    }

    /// Hands messages to a consumer on an idle lane or a new one.
    pub(crate) async fn deliver(
        &self,
        target: Target,
        idle: Option<Lane>,
        parcel: Parcel,
    ) -> Answered {
        let (messages, consumer) = (parcel.messages, target.consumer.clone());
        let deadline = Instant::now() + self.attempt_timeout;
        let outcome = match self.exchange(target, idle, parcel, deadline).await {
            Ok((answer, lane)) => {
                let outcomes = match messages {
                    1 => Outcomes::All(classify::of_message(&answer)),
                    _ => classify::of_batch(&answer, messages),
                };
                let work = answer.work();
                return Answered {
                    outcomes,
                    lane,
                    work,
                };
            }
            Err(error @ LaneError::Connect(_)) => match self.own_faults.notice(&consumer, &error) {
                Some(error) => Outcome::OwnFault(error),
                None => Outcome::Unreachable(chain(&error)),
            },
            Err(LaneError::Late) => Outcome::TimedOut,
            Err(error) => Outcome::Failed(chain(&error)),
        };
        Answered {
            outcomes: Outcomes::All(outcome),
            lane: None,
            work: None,
        }
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
        let target = match Target::new(id) {
            Ok(target) => target,
            Err(error) => return Health::Down(chain(&error)),
        };
        match self.answer_to_check(target).await {
            Ok(answer) => of_check(&answer),
            Err(error) if is_refused(&error) => Health::Gone,
            Err(error) => match self.own_faults.notice(id, &error) {
                Some(error) => Health::Unknown(error),
                None => Health::Down(chain(&error)),
            },
        }
    }

    async fn answer_to_check(&self, target: Target) -> Result<Answer, LaneError> {
        let deadline = Instant::now() + HEALTH_TIMEOUT;
        let mut lane = self.open(&target, deadline).await?;
        let request = request::health(target.host);
        lane.send(request, MAX_HEALTH_BYTES, deadline).await
    }

    async fn open(&self, target: &Target, deadline: Instant) -> Result<Lane, LaneError> {
        let opening = timeout_at(deadline, Lane::open(&target.consumer, &self.resolver)).await;
        opening.unwrap_or(Err(LaneError::Late))
    }

    async fn exchange(
        &self,
        target: Target,
        idle: Option<Lane>,
        parcel: Parcel,
        deadline: Instant,
    ) -> Result<(Answer, Option<Lane>), LaneError> {
        let most = parcel.max_answer_bytes();
        if let Some(mut lane) = idle.filter(|lane| !lane.is_stale()) {
            let request = parcel.clone().request(target.host.clone());
            match lane.send(request, most, deadline).await {
                Ok(answer) => return Ok(with_lane(answer, lane)),
                // The consumer closed it while it was idle; it has not seen the messages.
                Err(LaneError::Unsent) => {}
                Err(error) => return Err(error),
            }
        }
        let mut lane = self.open(&target, deadline).await?;
        let request = parcel.request(target.host);
        let answer = lane.send(request, most, deadline).await?;
        Ok(with_lane(answer, lane))
    }
}

/// What the answer to a health check says. Without its headers nobody knows whether it is a group's.
fn of_check(answer: &Answer) -> Health {
    match answer.status {
        _ if answer.headers.contains_key(GROUP) => Health::NoConsumer,
        StatusCode::OK if answer.lost == Some(Lost::Head) => {
            Health::Down("the head of its answer cannot be read".to_owned())
        }
        StatusCode::OK => Health::Up(capacity(answer)),
        status => Health::Down(format!("it answered {status}")),
    }
}

/// What the answer says of how much the consumer takes. A value that is none is ignored, and so is whatever else it
/// says.
fn capacity(answer: &Answer) -> Capacity {
    if answer.lost.is_some() {
        return Capacity::default();
    }
    let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let max_batch = said.get("max_batch").and_then(Value::as_u64);
    let concurrency = said.get("concurrency").and_then(Value::as_f64);
    Capacity {
        max_batch: max_batch.and_then(|number| u32::try_from(number).ok()),
        concurrency: concurrency.and_then(as_concurrency),
    }
}

/// The lane of an answer, if it can be used again.
fn with_lane(answer: Answer, lane: Lane) -> (Answer, Option<Lane>) {
    let is_whole = answer.lost.is_none();
    (answer, is_whole.then_some(lane))
}

/// Whether the other machine said that nothing listens at the address.
fn is_refused(error: &LaneError) -> bool {
    io_causes(error).any(|cause| cause.kind() == io::ErrorKind::ConnectionRefused)
}
