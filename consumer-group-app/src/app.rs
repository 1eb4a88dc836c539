//! The composition of the group: what is started, and how it ends.

mod rest_api;
mod shared;
mod shutdown;
mod start;

use anyhow::{Context, anyhow, bail};
use redis_bus::{Connection, Endpoint, requirements::until_unusable};
use service_kit::shutdown::Signals;
use tokio::net::TcpListener;
use tracing::{error, info};

use crate::settings::Settings;
use start::Roles;

/// A group that listens already and answers once it is run.
#[derive(Debug)]
pub(crate) struct App {
    settings: Settings,
    endpoint: Endpoint,
    listener: TcpListener,
}

impl App {
    /// Checks the settings and binds the REST API's address.
    pub(crate) async fn bind(settings: Settings) -> anyhow::Result<Self> {
        let endpoint = Endpoint::new(&settings.redis)?;
        let listener = settings.rest_api.bind().await?;
        Ok(Self {
            settings,
            endpoint,
            listener,
        })
    }

    /// Works until SIGTERM, SIGINT, SIGHUP or SIGQUIT, then drains, or until Redis turns out to be of no use. A second signal ends at once.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let mut signals = Signals::listen().context("cannot listen for signals")?;
        let grace = self.settings.service.shutdown_grace();
        let unusable = until_unusable(Connection::new(self.endpoint.clone()));
        let roles = Roles::start(self.settings, self.endpoint, self.listener)?;
        let failure = tokio::select! {
            signal = signals.next() => {
                info!(signal, grace_seconds = grace.as_secs(), "shutting down");
                None
            }
            task = roles.shared.supervisor.gave_up() => {
                Some(anyhow!("the task `{task}` kept failing; the process gives up"))
            }
            unusable = unusable => Some(unusable.into()),
        };
        let drained = tokio::select! {
            drained = roles.drain(grace) => drained,
            signal = signals.next() => bail!("{signal}, a second signal: ended at once"),
        };
        let Some(failure) = failure else {
            return drained;
        };
        if let Err(cause) = drained {
            error!("{cause:#}");
        }
        Err(failure)
    }
}
