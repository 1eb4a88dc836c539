//! A worker: what it is made of, and how it ends.

mod builder;
mod error;
mod parts;

use std::{future::pending, io, net::SocketAddr};

use protocol::ConsumerId;
use redis_bus::{Connection, Endpoint, commit::ProcessedStream, requirements::until_unusable};
use service_kit::{build::Build, shutdown::Signals, telemetry::chain};
use tokio::{net::TcpListener, sync::oneshot, time::timeout};
use tracing::{info, warn};

use self::parts::{Frame, Parts, Running};
pub use self::{builder::WorkerBuilder, error::WorkerError};
pub(crate) use self::{builder::seconds, parts::Identity};
use crate::{
    ConsumerSettings, Processor, advertised::consumer_id, metrics::ConsumerMetrics,
    processing::Processing, program::BUILD, settings::Intake,
};

/// A worker of the group: it listens already, and answers once it is run.
#[derive(Debug)]
pub struct Worker<P> {
    name: String,
    settings: ConsumerSettings,
    processor: P,
    endpoint: Endpoint,
    listener: TcpListener,
    id: ConsumerId,
    build: Build,
}

impl<P: Processor> Worker<P> {
    /// A worker under a name of its own, by which logs, metrics and Redis know it, with settings in code.
    pub fn builder(name: impl Into<String>, processor: P) -> WorkerBuilder<P> {
        WorkerBuilder::new(name.into(), processor)
    }

    /// A worker with settings that were read elsewhere, such as from flags. Binds the address.
    ///
    /// # Errors
    /// [`WorkerError::Setting`] and [`WorkerError::Bind`].
    pub async fn bind(
        name: impl Into<String>,
        settings: ConsumerSettings,
        processor: P,
    ) -> Result<Self, WorkerError> {
        let name = name.into();
        if name.trim().is_empty() {
            return Err(WorkerError::Setting("a worker needs a name".to_owned()));
        }
        let endpoint = Endpoint::new(&settings.redis);
        let endpoint = endpoint.map_err(|cause| WorkerError::Setting(chain(&cause)))?;
        let listener = settings.rest_api.bind().await;
        let listener = listener.map_err(|cause| WorkerError::Bind(cause.into()))?;
        let bound = listener.local_addr().map_err(no_address)?;
        Ok(Self {
            id: consumer_id(&settings, bound).await?,
            name,
            settings,
            processor,
            endpoint,
            listener,
            build: BUILD,
        })
    }

    /// The same worker, whose metrics tell what it was built from.
    #[must_use]
    pub fn built_from(self, build: Build) -> Self {
        Self { build, ..self }
    }

    /// What the group knows the worker by.
    pub fn id(&self) -> &ConsumerId {
        &self.id
    }

    /// Where it listens.
    ///
    /// # Errors
    /// [`WorkerError::Refused`] when the system does not tell.
    pub fn address(&self) -> Result<SocketAddr, WorkerError> {
        self.listener.local_addr().map_err(no_address)
    }

    /// Works until `end` is ready, then finishes what is under way, within the grace period. It listens for no
    /// signal, and logs through whatever `tracing` subscriber there is.
    ///
    /// # Errors
    /// [`WorkerError::TaskFailed`], [`WorkerError::Redis`] and [`WorkerError::Refused`]; what is under way is
    /// finished then, too.
    ///
    /// # Cancel safety
    /// Dropped, it stops at once. No message is lost: what was under way is delivered again.
    pub async fn run_until(self, end: impl Future<Output = ()>) -> Result<(), WorkerError> {
        let end = async {
            end.await;
            None
        };
        // It is large, and may be part of a future of others.
        Box::pin(self.work(end)).await
    }

    /// Works until SIGTERM, SIGINT, SIGHUP or SIGQUIT, then finishes what is under way. A second signal ends it at
    /// once.
    ///
    /// # Errors
    /// Those of [`run_until`](Self::run_until), and [`WorkerError::Cut`].
    pub async fn run(self) -> Result<(), WorkerError> {
        let signals = Signals::listen();
        let signals = signals.map_err(WorkerError::refused("cannot listen for signals"))?;
        let (ask, asked) = oneshot::channel();
        let end = async {
            match asked.await {
                Ok(signal) => Some(signal),
                Err(_) => pending().await,
            }
        };
        tokio::select! {
            ended = Box::pin(self.work(end)) => ended,
            signal = last(signals, ask) => Err(WorkerError::Cut(signal)),
        }
    }

    /// Works until `end`, which may name a signal.
    async fn work(
        self,
        end: impl Future<Output = Option<&'static str>>,
    ) -> Result<(), WorkerError> {
        let (name, grace) = (self.name.clone(), self.settings.service.shutdown_grace());
        let unusable = until_unusable(Connection::new(self.endpoint.clone()));
        let mut running = self.start().await?;
        let failure = tokio::select! {
            signal = end => {
                info!(worker = name, signal, grace_seconds = grace.as_secs(), "shutting down");
                None
            }
            task = running.gave_up() => Some(WorkerError::TaskFailed(task)),
            unusable = unusable => Some(WorkerError::Redis(unusable.into())),
        };
        match timeout(grace, running.drain()).await {
            Ok(()) => info!(worker = name, "all work is finished; goodbye"),
            Err(_) => {
                let left = running.under_way();
                warn!(
                    worker = name,
                    left, "the grace period is over; the rest is delivered elsewhere"
                );
            }
        }
        running.leave().await;
        failure.map_or(Ok(()), Err)
    }

    /// Starts every role; the worker answers before it takes messages.
    async fn start(self) -> Result<Running, WorkerError> {
        let Self {
            name,
            settings,
            processor,
            endpoint,
            listener,
            id,
            build,
        } = self;
        let connection = Connection::new(endpoint);
        log_redis(&connection).await;
        let retention = settings.retention.retention();
        let stream_key = settings.names.processed_stream.clone();
        let stream = ProcessedStream::new(connection.clone(), stream_key, retention);
        let concurrency = settings.consumer.processing_concurrency;
        let metrics = ConsumerMetrics::new();
        let metrics = metrics.map_err(WorkerError::refused("cannot set up the metrics"))?;
        let identity = Identity { name, id, build };
        let parts = Parts {
            processing: Processing::new(
                processor,
                concurrency,
                identity.id.clone(),
                metrics.clone(),
            ),
            listener,
            frame: Frame::new(metrics, identity),
        };
        match settings.consumer.intake {
            Intake::Push => parts.push(stream, connection, &settings),
            Intake::Pull => parts.pull(stream, connection, &settings),
        }
    }
}

/// Hands on the first signal and returns the one that cuts: the second, or the first if the worker ends already.
async fn last(mut signals: Signals, ask: oneshot::Sender<&'static str>) -> &'static str {
    let first = signals.next().await;
    match ask.send(first) {
        Ok(()) => signals.next().await,
        Err(first) => first,
    }
}

fn no_address(cause: io::Error) -> WorkerError {
    WorkerError::refused("the listener has no address")(cause)
}

/// Tells at start whether Redis is there; a worker works as soon as it is.
async fn log_redis(connection: &Connection) {
    let at = connection.endpoint().at();
    match connection.ping().await {
        Ok(()) => info!(redis = at, "connected to Redis"),
        Err(cause) => warn!(
            cause = chain(&cause),
            "Redis does not answer; trying again with each message. Start it (redis-server, or \
             docker run -p 6379:6379 redis:7), or say where it is with --redisServerHost, \
             --redisServerPort or --redisUrl"
        ),
    }
}

#[cfg(test)]
mod tests;
