//! Starts the REST API, and what the dashboard is shown by.

use std::sync::Arc;

use anyhow::Context;
use redis_bus::dead_letters::DeadLetters;
use service_kit::http_server::HttpServer;
use tokio::{net::TcpListener, sync::mpsc, time::Instant};
use tracing::info;

use super::ground::Ground;
use crate::{
    consumer::{registry::ConsumerGroup, sweeps::Sweeps},
    http::{self, AppState, Dashboard, OwnAddress, Publishing, Told},
    intake::{Publish, subscription_health::Gaps},
    observe::{history::Feed, sampler::Sampler, status::Status},
    settings::{DashboardSettings, Names},
};

/// What the REST API tells of and acts on.
pub(super) struct Served<'a> {
    pub(super) group: &'a ConsumerGroup,
    pub(super) sweeps: &'a Sweeps,
    pub(super) gaps: &'a Gaps,
    /// The name this replica reads the queue under.
    pub(super) reader_name: &'a str,
    /// Where what is published over HTTP is admitted.
    pub(super) publish: mpsc::Sender<Publish>,
    /// How many consumers may be registered.
    pub(super) capacity: usize,
}

impl Ground {
    /// Starts the REST API.
    pub(super) fn serve(
        &self,
        socket: TcpListener,
        served: &Served<'_>,
        names: &Names,
        settings: DashboardSettings,
    ) -> anyhow::Result<()> {
        let address = socket.local_addr().context("the listener has no address")?;
        let status = Status {
            buffer: self.buffer.clone(),
            queue: self.queue.clone(),
            chunks: self.chunks.clone(),
            group: served.group.clone(),
            gaps: served.gaps.clone(),
            started: Instant::now(),
        };
        let (connection, processed) = (self.connection.clone(), names.processed_stream.clone());
        let letters = DeadLetters::new(connection, processed);
        let feed = Feed::default();
        let told = Told {
            meters: self.meters.clone(),
            budget: Arc::clone(&self.budget),
            supervisor: self.supervisor.clone(),
        };
        let sampler = Sampler::new(
            status.clone(),
            self.connection.clone(),
            letters.clone(),
            feed.clone(),
            served.reader_name.to_owned(),
        );
        let following = self.stages.following.clone();
        self.supervisor.spawn("sampler", following, sampler);
        let closing = self.stages.serving.clone();
        let dashboard = Dashboard::new(feed, letters, settings.replay, closing);
        let router = http::router(AppState {
            list: self.list.clone(),
            group: served.group.clone(),
            sweeps: served.sweeps.clone(),
            own_address: OwnAddress::new(address),
            capacity: served.capacity,
            status,
            connection: self.connection.clone(),
            probe: self.probe(names),
            ending: self.stages.listening.clone(),
            publishing: Publishing::new(served.publish.clone()),
            dashboard: Arc::new(dashboard),
            told: Arc::new(told),
        })
        .context("cannot describe the REST API")?;
        let server = HttpServer::new(socket, router);
        self.supervisor
            .spawn("http server", self.stages.serving.clone(), server);
        info!(%address, "listening");
        Ok(())
    }
}
