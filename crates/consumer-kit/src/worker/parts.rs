//! The parts of a worker, put together for push or for pull, and taken apart in the end.

use std::sync::Arc;

use axum::Router;
use protocol::{
    ConsumerId,
    http::{RegistrationRequest, as_concurrency},
};
use redis_bus::{
    Connection,
    chunk_queue::{ChunkQueue, Leases},
    commit::ProcessedStream,
    probe::{Need, Probe},
};
use service_kit::{
    build::Build,
    http_server::HttpServer,
    supervisor::{Role, Supervisor},
    telemetry::chain,
};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{WorkerError, no_address};
use crate::{
    ConsumerSettings, Processor,
    group_client::GroupClient,
    http::{self, Admission, AppState, HealthState},
    metrics::ConsumerMetrics,
    processing::Processing,
    pull::{ChunkPuller, PullSettings},
    registrar::{Registrar, Registration},
    sink::{Recorder, Sink, SinkHandle},
};

/// What went wrong when no router can be made.
const UNDESCRIBED: &str = "cannot describe the REST API";

/// What a consumer is made of, whichever way messages come.
pub(super) struct Parts<P> {
    pub(super) processing: Processing<P>,
    pub(super) listener: TcpListener,
    pub(super) frame: Frame,
}

/// What others know the worker by.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// Its own name.
    pub(crate) name: String,
    /// What the group knows it by.
    pub(crate) id: ConsumerId,
    pub(crate) build: Build,
}

/// What holds the roles, from their start to their end.
pub(super) struct Frame {
    metrics: ConsumerMetrics,
    identity: Identity,
    supervisor: Supervisor,
    admission: Admission,
    taking_messages: CancellationToken,
    serving: CancellationToken,
    committing: CancellationToken,
}

impl<P: Processor> Parts<P> {
    /// Starts a consumer that the group pushes to.
    pub(super) fn push(
        self,
        stream: ProcessedStream,
        connection: Connection,
        settings: &ConsumerSettings,
    ) -> Result<Running, WorkerError> {
        let group = &settings.consumer_group_app;
        let client = GroupClient::new(&group.host, group.port)
            .map_err(WorkerError::refused("cannot set up the HTTP client"))?;
        let check_interval = group.registration_check_interval();
        // With no limit there is nothing to declare; nor with a processor that takes whole batches, because the
        // limit counts those.
        let concurrency = match settings.consumer.processing_concurrency {
            limit if !P::WHOLE_BATCHES => as_concurrency(limit.into()),
            _ => None,
        };
        let registration = RegistrationRequest {
            consumer_id: self.frame.identity.id.clone(),
            concurrency,
        };
        let registrar = Registrar::new(client, registration, check_interval);
        let queue = ChunkQueue::new(connection.clone(), &settings.names.processed_stream);
        let needs = self
            .frame
            .needs(connection, stream.needs(), Some(registrar.registration()));
        let recorder = Recorder::new(stream, queue, settings.retention.retention().max_len);
        let state = Arc::new(AppState {
            processing: self.processing,
            sink: self.frame.commit_to(recorder),
            admission: self.frame.admission.clone(),
            max_batch: settings.consumer.max_batch.get(),
            concurrency,
        });
        let router = http::router(state, needs).map_err(WorkerError::refused(UNDESCRIBED))?;
        self.frame.serve(self.listener, router)?;
        Ok(self.frame.take_messages("registrar", registrar, None))
    }

    /// Starts a consumer that pulls.
    pub(super) fn pull(
        self,
        stream: ProcessedStream,
        connection: Connection,
        settings: &ConsumerSettings,
    ) -> Result<Running, WorkerError> {
        let (names, retention) = (&settings.names, settings.retention.retention());
        let queue = ChunkQueue::new(connection.clone(), &names.processed_stream);
        let needs = self.frame.needs(connection, queue.needs(), None);
        let recorder = Recorder::new(stream, queue.clone(), retention.max_len);
        let sink = self.frame.commit_to(recorder.refusing_strays());
        let router = http::pull_router(needs).map_err(WorkerError::refused(UNDESCRIBED))?;
        self.frame.serve(self.listener, router)?;
        let admission = self.frame.admission.clone();
        let pull = PullSettings {
            worker: self.frame.identity.name.clone(),
            concurrency: settings.consumer.processing_concurrency,
            max_deliveries: settings.consumer.max_deliveries.get(),
            dedup_window: retention.dedup_window,
        };
        let puller = ChunkPuller::new(queue.clone(), self.processing, sink, admission, pull);
        info!(
            queue = queue.key(),
            worker = self.frame.identity.name,
            reader = puller.reader(),
            "pulling: ready for messages"
        );
        let leases = puller.leases().clone();
        Ok(self.frame.take_messages("puller", puller, Some(leases)))
    }
}

impl Frame {
    pub(super) fn new(metrics: ConsumerMetrics, identity: Identity) -> Self {
        Self {
            metrics,
            identity,
            supervisor: Supervisor::default(),
            admission: Admission::default(),
            taking_messages: CancellationToken::new(),
            serving: CancellationToken::new(),
            committing: CancellationToken::new(),
        }
    }

    /// Starts the sink.
    fn commit_to(&self, recorder: Recorder) -> SinkHandle {
        let (handle, sink) = Sink::new(recorder, self.metrics.clone());
        self.supervisor.spawn("sink", self.committing.clone(), sink);
        handle
    }

    /// What has to be there for the consumer to work.
    fn needs(
        &self,
        connection: Connection,
        written: Vec<Need>,
        registration: Option<Registration>,
    ) -> HealthState {
        HealthState {
            admission: self.admission.clone(),
            probe: Probe::new(connection.clone(), written),
            connection,
            registration,
            metrics: self.metrics.clone(),
            identity: self.identity.clone(),
            supervisor: self.supervisor.clone(),
        }
    }

    /// Starts the REST API.
    fn serve(&self, listener: TcpListener, router: Router) -> Result<(), WorkerError> {
        let address = listener.local_addr().map_err(no_address)?;
        let server = HttpServer::new(listener, router);
        self.supervisor
            .spawn("http server", self.serving.clone(), server);
        let Identity { name, id, .. } = &self.identity;
        info!(worker = name, %address, consumer.id = %id, "listening");
        Ok(())
    }

    /// Starts what has messages come.
    fn take_messages(self, name: &str, role: impl Role, leases: Option<Leases>) -> Running {
        let taking = self.taking_messages.clone();
        Running {
            intake: self.supervisor.spawn(name, taking, role),
            frame: self,
            leases,
        }
    }
}

/// A worker at work. Dropped, it stops at once.
pub(super) struct Running {
    frame: Frame,
    /// Whatever has messages come.
    intake: JoinHandle<()>,
    /// What a consumer that pulls was handed.
    leases: Option<Leases>,
}

impl Running {
    /// How much work is under way.
    pub(super) fn under_way(&self) -> usize {
        self.frame.admission.under_way()
    }

    /// Names a role that kept failing, once there is one.
    pub(super) async fn gave_up(&self) -> String {
        self.frame.supervisor.gave_up().await
    }

    /// Has no more messages come, finishes those that came, and ends every role.
    pub(super) async fn drain(&mut self) {
        let frame = &self.frame;
        frame.taking_messages.cancel();
        if let Err(cause) = (&mut self.intake).await {
            warn!(%cause, "a task was cut");
        }
        frame.admission.close().await;
        frame.serving.cancel();
        frame.committing.cancel();
        frame.supervisor.wait().await;
    }

    /// Gives back what could not be finished.
    pub(super) async fn leave(&self) {
        let Some(leases) = &self.leases else { return };
        if let Err(cause) = leases.leave().await {
            let cause = chain(&cause);
            warn!(cause, "cannot take leave of the queue");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let frame = &self.frame;
        for all in [&frame.taking_messages, &frame.serving, &frame.committing] {
            all.cancel();
        }
    }
}
