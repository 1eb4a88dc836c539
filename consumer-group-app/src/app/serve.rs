//! Starts the REST API, and what the dashboard is shown by.

use std::sync::Arc;

use anyhow::Context;
use redis_bus::{
    commit::Retention,
    dead_letters::{DeadLetters, Way},
};
use service_kit::http_server::HttpServer;
use tokio::{net::TcpListener, time::Instant};
use tracing::info;

use super::{durable::Durable, ground::Ground};
use crate::{
    consumer_group::ConsumerGroup,
    gaps::Gaps,
    history::Feed,
    http::{self, AppState, Dashboard, OwnAddress, Publishing, Told},
    sampler::Sampler,
    settings::{DashboardSettings, Names},
    status::Status,
    sweeps::Sweeps,
};

/// What the REST API tells of and acts on.
pub(super) struct Served<'a> {
    pub(super) group: &'a ConsumerGroup,
    pub(super) sweeps: &'a Sweeps,
    pub(super) gaps: &'a Gaps,
    pub(super) durable: Option<&'a Durable>,
    /// How long ids are remembered.
    pub(super) retention: Retention,
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
            intake: self.intake.clone(),
            queue: self.queue.clone(),
            durable: self.durable.clone(),
            group: served.group.clone(),
            gaps: served.gaps.clone(),
            started: Instant::now(),
        };
        let letters = DeadLetters::new(
            self.connection.clone(),
            names.failed_stream.clone(),
            names.processed_stream.clone(),
        );
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
            served.durable.map(|durable| durable.reader_name.clone()),
        );
        let following = self.stages.following.clone();
        self.supervisor.spawn("sampler", following, sampler);
        let way = match self.durable {
            Some(_) => Way::Queue,
            None => Way::Channel(names.published_channel.clone()),
        };
        let closing = self.stages.serving.clone();
        let dashboard = Dashboard::new(feed, letters, way, settings.replay, closing);
        let router = http::router(AppState {
            list: self.list.clone(),
            group: served.group.clone(),
            sweeps: served.sweeps.clone(),
            own_address: OwnAddress::new(address),
            capacity: served.capacity,
            durable: self.durable.clone(),
            status,
            connection: self.connection.clone(),
            probe: self.probe(names, served.retention),
            ending: self.stages.listening.clone(),
            publishing: Publishing::default(),
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
