//! The parts of a consumer, put together for push or for pull, and taken apart in the end.

use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use protocol::ConsumerId;
use redis_bus::{
    Connection, Endpoint,
    commit::ProcessedStream,
    dead_letters::FailedStream,
    queue::{DurableQueue, Keeper, QueueReader},
};
use service_kit::{http_server::HttpServer, supervisor::Supervisor, telemetry::chain};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    ConsumerSettings, Processor,
    group_client::GroupClient,
    http::{self, Admission, AppState},
    processor::Processing,
    puller::{Puller, Work},
    registrar::Registrar,
    sink::{Sink, SinkHandle},
};

/// What a consumer is made of, whichever way messages come.
pub(super) struct Parts<P> {
    pub(super) processing: Processing<P>,
    pub(super) supervisor: Supervisor,
    pub(super) admission: Admission,
    pub(super) tokens: Tokens,
    pub(super) listener: TcpListener,
    pub(super) id: ConsumerId,
}

/// What ends the roles, in the order in which they end.
#[derive(Default)]
pub(super) struct Tokens {
    pub(super) intake: CancellationToken,
    pub(super) serving: CancellationToken,
    pub(super) committing: CancellationToken,
}

impl<P: Processor> Parts<P> {
    /// Starts a consumer that the group pushes to.
    pub(super) fn push(
        self,
        stream: ProcessedStream,
        settings: &ConsumerSettings,
    ) -> anyhow::Result<Running> {
        let group = &settings.consumer_group_app;
        let client =
            GroupClient::new(&group.host, group.port).context("cannot set up the HTTP client")?;
        let check_interval = group.registration_check_interval();
        let registrar = Registrar::new(client, self.id.clone(), check_interval);
        let sink = self.commit_to(stream);
        let router = http::router(Arc::new(AppState {
            processing: self.processing,
            sink,
            admission: self.admission.clone(),
        }));
        serve(
            &self.supervisor,
            &self.tokens,
            self.listener,
            router,
            &self.id,
        )?;
        let registering = self.tokens.intake.clone();
        let intake = self.supervisor.spawn("registrar", registering, registrar);
        Ok(Running {
            supervisor: self.supervisor,
            admission: self.admission,
            intake,
            tokens: self.tokens,
            keeper: None,
        })
    }

    /// Starts a consumer that pulls.
    pub(super) fn pull(
        self,
        stream: ProcessedStream,
        connection: Connection,
        endpoint: Endpoint,
        settings: &ConsumerSettings,
    ) -> anyhow::Result<Running> {
        let window = settings.retention.retention().dedup_window;
        let names = &settings.names;
        let queue = DurableQueue::new(connection.clone(), &names.processed_stream, window);
        let failed_key = names.failed_stream.clone();
        let failed = FailedStream::new(connection, failed_key, &names.processed_stream, window)
            .from_queue(queue.clone());
        let sink = self.commit_to(stream.from_queue(queue.clone()));
        let router = http::health_router(self.admission.clone());
        serve(
            &self.supervisor,
            &self.tokens,
            self.listener,
            router,
            &self.id,
        )?;
        let reader = QueueReader::new(endpoint, queue.clone());
        info!(queue = queue.key(), reader = reader.name(), "pulling");
        let keeper = Some(reader.keeper());
        let own = &settings.consumer;
        let work = Work::new(
            self.processing,
            sink,
            queue,
            failed,
            own.max_deliveries.get(),
        );
        let admission = self.admission.clone();
        let puller = Puller::new(reader, admission, work, own.processing_concurrency);
        let pulling = self.tokens.intake.clone();
        let intake = self.supervisor.spawn("puller", pulling, puller);
        Ok(Running {
            supervisor: self.supervisor,
            admission: self.admission,
            intake,
            tokens: self.tokens,
            keeper,
        })
    }

    /// Starts the sink.
    fn commit_to(&self, stream: ProcessedStream) -> SinkHandle {
        let (handle, sink) = Sink::new(stream);
        self.supervisor
            .spawn("sink", self.tokens.committing.clone(), sink);
        handle
    }
}

/// Starts the REST API.
fn serve(
    supervisor: &Supervisor,
    tokens: &Tokens,
    listener: TcpListener,
    router: Router,
    id: &ConsumerId,
) -> anyhow::Result<()> {
    let address = listener
        .local_addr()
        .context("the listener has no address")?;
    let server = HttpServer::new(listener, router);
    supervisor.spawn("http server", tokens.serving.clone(), server);
    info!(%address, consumer.id = %id, "listening");
    Ok(())
}

/// The tasks of a consumer at work, with the tokens that end them.
pub(super) struct Running {
    pub(super) supervisor: Supervisor,
    pub(super) admission: Admission,
    /// Whatever has messages come.
    pub(super) intake: JoinHandle<()>,
    pub(super) tokens: Tokens,
    /// Of a consumer that pulls.
    pub(super) keeper: Option<Keeper>,
}

impl Running {
    /// Has no more messages come, finishes those that came, and ends every role.
    pub(super) async fn drain(&mut self) {
        self.tokens.intake.cancel();
        if let Err(cause) = (&mut self.intake).await {
            warn!(%cause, "a task was cut");
        }
        self.admission.close().await;
        self.tokens.serving.cancel();
        self.tokens.committing.cancel();
        self.supervisor.wait().await;
    }

    /// Gives back what could not be finished.
    pub(super) async fn leave(&self) {
        let Some(keeper) = &self.keeper else { return };
        if let Err(cause) = keeper.leave().await {
            let cause = chain(&cause);
            warn!(cause, "cannot take leave of the durable queue");
        }
    }
}
