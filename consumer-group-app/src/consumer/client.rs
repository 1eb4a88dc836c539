//! What the group says to a consumer over HTTP.

mod classify;
mod punctual;
mod request;
mod response_body;

use std::{io, num::NonZeroU32, sync::Arc, time::Duration};

use hyper::{StatusCode, header::HeaderValue};
use protocol::{
    ConsumerId,
    http::{GROUP, as_concurrency},
};
use serde_json::Value;
use service_kit::{resolver::Resolver, telemetry::chain};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

use self::punctual::punctual;
pub(crate) use self::{
    classify::{Outcomes, of_lease},
    request::DeliveryRequest,
};
use crate::{
    consumer::{
        connection::{
            AnswerBounds, ConnectionError, ConsumerConnection, ConsumerResponse, Truncation,
        },
        own_fault::{OwnFaults, io_causes},
    },
    delivery::Outcome,
};

/// The most bytes of a health check's answer that are read.
const MAX_HEALTH_BYTES: usize = 4096;

/// How many bytes the answers that are large, because they hold entries, may take together: 64 MiB.
const LARGE_ANSWERS_BYTES: usize = 64 << 20;

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
    pub(crate) fn new(consumer: &ConsumerId) -> Self {
        // All of an id may stand in a header.
        let host = HeaderValue::from_str(consumer.as_str());
        Self {
            consumer: consumer.clone(),
            host: host.unwrap_or_else(|_| HeaderValue::from_static("")),
        }
    }
}

/// How a request ended.
#[derive(Debug)]
pub(crate) struct DeliveryResponse {
    pub(crate) outcomes: Outcomes,
    /// The connection, if it can be used again.
    pub(crate) connection: Option<ConsumerConnection>,
    /// How long the consumer says it worked.
    pub(crate) work: Option<Duration>,
    /// The room that the answer takes, until what it says is written.
    pub(crate) room: Option<OwnedSemaphorePermit>,
}

/// A client for all consumers; clones share what it knows of names and faults.
#[derive(Debug, Clone)]
pub(crate) struct ConsumerClient {
    own_faults: OwnFaults,
    resolver: Resolver,
    attempt_timeout: Duration,
    large_answers: Arc<Semaphore>,
}

impl ConsumerClient {
    /// `attempt_timeout` bounds a delivery, from connecting to the end of the answer.
    pub(crate) fn new(attempt_timeout: Duration) -> Self {
        Self {
            own_faults: OwnFaults::new(),
            resolver: Resolver::default(),
            attempt_timeout,
            large_answers: Arc::new(Semaphore::new(LARGE_ANSWERS_BYTES)),
        }
    }

    /// Hands messages to a consumer on an idle connection or a new one.
    pub(crate) async fn deliver(
        &self,
        target: Target,
        idle: Option<ConsumerConnection>,
        request: DeliveryRequest,
    ) -> DeliveryResponse {
        let (messages, consumer) = (request.messages, target.consumer.clone());
        let deadline = Instant::now() + self.attempt_timeout;
        let outcome = match self.exchange(target, idle, request, deadline).await {
            Ok((answer, connection)) => {
                let outcomes = match messages {
                    1 => Outcomes::All(classify::of_message(&answer)),
                    _ => classify::of_batch(&answer, messages),
                };
                let work = answer.work();
                return DeliveryResponse {
                    outcomes,
                    connection,
                    work,
                    room: answer.room,
                };
            }
            Err(error @ ConnectionError::Connect(_)) => {
                match self.own_faults.notice(&consumer, &error) {
                    Some(error) => Outcome::OwnFault(error),
                    None => Outcome::Unreachable(chain(&error)),
                }
            }
            Err(ConnectionError::Late) => Outcome::TimedOut,
            Err(error) => Outcome::Failed(chain(&error)),
        };
        DeliveryResponse {
            outcomes: Outcomes::All(outcome),
            connection: None,
            work: None,
            room: None,
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
        match self.answer_to_check(Target::new(id)).await {
            Ok(answer) => of_check(&answer),
            Err(error) if is_refused(&error) => Health::Gone,
            Err(error) => match self.own_faults.notice(id, &error) {
                Some(error) => Health::Unknown(error),
                None => Health::Down(chain(&error)),
            },
        }
    }

    async fn answer_to_check(&self, target: Target) -> Result<ConsumerResponse, ConnectionError> {
        let deadline = Instant::now() + HEALTH_TIMEOUT;
        let mut connection = self.open(&target, deadline).await?;
        let request = request::health(target.host);
        let bounds = AnswerBounds::small(MAX_HEALTH_BYTES);
        connection.send(request, &bounds, deadline).await
    }

    async fn open(
        &self,
        target: &Target,
        deadline: Instant,
    ) -> Result<ConsumerConnection, ConnectionError> {
        let opening = timeout_at(
            deadline,
            ConsumerConnection::open(&target.consumer, &self.resolver),
        )
        .await;
        opening.unwrap_or(Err(ConnectionError::Late))
    }

    async fn exchange(
        &self,
        target: Target,
        idle: Option<ConsumerConnection>,
        request: DeliveryRequest,
        deadline: Instant,
    ) -> Result<(ConsumerResponse, Option<ConsumerConnection>), ConnectionError> {
        let bounds = request.answer_bounds(&self.large_answers);
        let mut idle = idle.filter(|connection| !connection.is_stale());
        loop {
            let is_reused = idle.is_some();
            let mut connection = match idle.take() {
                Some(connection) => connection,
                // Seldom done: it need not make every attempt larger.
                None => Box::pin(self.open(&target, deadline)).await?,
            };
            let http = request.clone().into_http(target.host.clone());
            match connection.send(http, &bounds, deadline).await {
                Ok(answer) => return Ok(with_connection(answer, connection)),
                // The consumer closed it while it was idle; it has not seen the messages.
                Err(ConnectionError::Unsent) if is_reused => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// What the answer to a health check says. Without its headers nobody knows whether it is a group's.
fn of_check(answer: &ConsumerResponse) -> Health {
    match answer.status {
        _ if answer.headers.contains_key(GROUP) => Health::NoConsumer,
        StatusCode::OK if answer.lost == Some(Truncation::Head) => {
            Health::Down("the head of its answer cannot be read".to_owned())
        }
        StatusCode::OK => Health::Up(capacity(answer)),
        status => Health::Down(format!("it answered {status}")),
    }
}

/// What the answer says of how much the consumer takes. A value that is none is ignored, and so is whatever else it
/// says.
fn capacity(answer: &ConsumerResponse) -> Capacity {
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

/// The connection of an answer, if it can be used again.
fn with_connection(
    answer: ConsumerResponse,
    connection: ConsumerConnection,
) -> (ConsumerResponse, Option<ConsumerConnection>) {
    let is_whole = answer.lost.is_none();
    (answer, is_whole.then_some(connection))
}

/// Whether the other machine said that nothing listens at the address.
fn is_refused(error: &ConnectionError) -> bool {
    io_causes(error).any(|cause| cause.kind() == io::ErrorKind::ConnectionRefused)
}
