//! Starts the REST API, and the sampler that looks for the dashboard.

use std::sync::Arc;

use anyhow::Context;
use redis_bus::dead_letters::DeadLetters;
use service_kit::http_server::HttpServer;
use tokio::{net::TcpListener, time::Instant};
use tracing::info;

use super::shared::Shared;
use crate::{
    http::{self, AppState, Dashboard, MetricsSources, OwnAddress, Publishing, settling_room},
    observe::{history::Feed, sampler::Sampler, status::Status},
};

impl Shared {
    pub(super) fn serve(&self, socket: TcpListener) -> anyhow::Result<()> {
        let address = socket.local_addr().context("the listener has no address")?;
        let status = Status {
            buffer: self.buffer.clone(),
            local_queue: self.local_queue.clone(),
            queue: self.queue.clone(),
            group: self.group.clone(),
            leasing: self.leasing.clone(),
            subscription: self.subscription.clone(),
            started: Instant::now(),
        };
        let processed = self.settings.names.processed_stream.clone();
        let letters = DeadLetters::new(self.connection.clone(), processed);
        let feed = Feed::default();
        let sampler = Sampler::new(
            status.clone(),
            self.connection.clone(),
            letters.clone(),
            feed.clone(),
            self.receiver.reader().to_owned(),
        );
        self.run("sampler", &self.phases.following, sampler);
        let (replay, closing) = (self.settings.dashboard.replay, self.phases.serving.clone());
        let metrics = MetricsSources {
            metrics: self.metrics.clone(),
            budget: Arc::clone(&self.budget),
            supervisor: self.supervisor.clone(),
        };
        let router = http::router(AppState {
            list: self.list.clone(),
            group: self.group.clone(),
            sweeps: self.sweeps.clone(),
            own_address: OwnAddress::new(address),
            capacity: self.capacity(),
            status,
            connection: self.connection.clone(),
            probe: self.probe(),
            ending: self.phases.listening.clone(),
            publishing: Publishing::new(self.publish.clone()),
            leasing: self.leasing.clone(),
            settling_room: settling_room(),
            dashboard: Arc::new(Dashboard::new(feed, letters, replay, closing)),
            metrics: Arc::new(metrics),
        })
        .context("cannot describe the REST API")?;
        let server = HttpServer::new(socket, router);
        self.run("http server", &self.phases.serving, server);
        info!(%address, "listening");
        Ok(())
    }
}
