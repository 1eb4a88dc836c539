//! The composition of a consumer: what is started, and how it ends.

mod parts;

use anyhow::{Context, anyhow, bail};
use protocol::ConsumerId;
use redis_bus::{Connection, Endpoint, commit::ProcessedStream, requirements::until_unusable};
use service_kit::{build::Build, shutdown::Signals, telemetry::chain};
use tokio::{net::TcpListener, time::timeout};
use tracing::{info, warn};

use self::parts::{Frame, Parts, Running};
use crate::{
    ConsumerSettings, Processor, advertised::consumer_id, metrics::ConsumerMetrics,
    processing::Processing, program::BUILD, settings::Intake,
};

/// A consumer that listens already and answers once it is run.
#[derive(Debug)]
pub struct Consumer<P> {
    settings: ConsumerSettings,
    processor: P,
    endpoint: Endpoint,
    listener: TcpListener,
    id: ConsumerId,
    build: Build,
}

impl<P: Processor> Consumer<P> {
    /// Checks the settings and binds the REST API's address.
    ///
    /// # Errors
    /// When a setting cannot be used or the address cannot be bound.
    pub async fn bind(settings: ConsumerSettings, processor: P) -> anyhow::Result<Self> {
        let endpoint = Endpoint::new(&settings.redis)?;
        let listener = settings.rest_api.bind().await?;
        let bound = listener
            .local_addr()
            .context("the listener has no address")?;
        let id = consumer_id(&settings, bound).await?;
        Ok(Self {
            settings,
            processor,
            endpoint,
            listener,
            id,
            build: BUILD,
        })
    }

    /// The same consumer, whose metrics tell what it was built from.
    #[must_use]
    pub fn built_from(self, build: Build) -> Self {
        Self { build, ..self }
    }

    /// What the group knows the consumer by.
    pub fn id(&self) -> &ConsumerId {
        &self.id
    }

    /// Works until SIGTERM, SIGINT, SIGHUP or SIGQUIT, then finishes what is under way. A second signal ends at once.
    ///
    /// # Errors
    /// When a background task kept failing, when Redis turns out to be of no use (see [`redis_bus::requirements`]), or
    /// after a second signal.
    pub async fn run(self) -> anyhow::Result<()> {
        let mut signals = Signals::listen().context("cannot listen for signals")?;
        let grace = self.settings.service.shutdown_grace();
        let unusable = until_unusable(Connection::new(self.endpoint.clone()));
        let mut running = self.start().await?;
        let failure = tokio::select! {
            signal = signals.next() => {
                info!(signal, grace_seconds = grace.as_secs(), "shutting down");
                None
            }
            task = running.gave_up() => {
                Some(anyhow!("the task `{task}` kept failing; the process gives up"))
            }
            unusable = unusable => Some(unusable.into()),
        };
        tokio::select! {
            ended = timeout(grace, running.drain()) => match ended {
                Ok(()) => info!("all work is finished; goodbye"),
                Err(_) => {
                    let left = running.under_way();
                    warn!(left, "the grace period is over; the rest is delivered elsewhere");
                }
            },
            signal = signals.next() => bail!("{signal}, a second signal: ended at once"),
        }
        running.leave().await;
        failure.map_or(Ok(()), Err)
    }

    /// Starts every role; the consumer answers before it takes messages.
    async fn start(self) -> anyhow::Result<Running> {
        let Self {
            settings,
            processor,
            endpoint,
            listener,
            id,
            build,
        } = self;
        let connection = Connection::new(endpoint.clone());
        log_redis(&connection).await;
        let retention = settings.retention.retention();
        let stream_key = settings.names.processed_stream.clone();
        let stream = ProcessedStream::new(connection.clone(), stream_key, retention);
        let concurrency = settings.consumer.processing_concurrency;
        let metrics = ConsumerMetrics::new().context("cannot set up the metrics")?;
        let parts = Parts {
            processing: Processing::new(processor, concurrency, id.clone(), metrics.clone()),
            listener,
            id,
            frame: Frame::new(metrics, build),
        };
        match settings.consumer.intake {
            Intake::Push => parts.push(stream, connection, &settings),
            Intake::Pull => parts.pull(stream, connection, &settings),
        }
    }
}

/// Tells at start whether Redis is there; a consumer works as soon as it is.
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
