//! What is between one service, at its far end, and Redis and the others, at its near end.
//!
//! A network of its own where there can be one, which loses what it does not carry; else a proxy in front
//! of Redis, which holds it back. A test of either claims no more than what both keep.

use std::{io::Write, net::UdpSocket};

use anyhow::Result;
use local_stack::{Cut, Fault, FaultProxy, PrivateNetwork, PrivateRedis, Service};

use crate::services::{binaries, group, id_of, wait_until_joined, wait_until_subscribed};

/// The cable, and the Redis at its near end.
#[derive(Debug)]
pub struct Cable {
    kind: Kind,
    redis: PrivateRedis,
    near: String,
}

#[derive(Debug)]
enum Kind {
    Network(PrivateNetwork),
    Proxy(FaultProxy),
}

impl Cable {
    /// Lays a cable to an empty Redis; says past the test's captured output when it is but a proxy.
    ///
    /// # Errors
    /// When any of it cannot be made.
    pub async fn lay() -> Result<Self> {
        if let Some(why) = PrivateNetwork::why_not() {
            let text = format!("a proxy takes the place of a network to cut: {why}\n");
            std::io::stderr().write_all(text.as_bytes())?;
            let redis = PrivateRedis::start(&[]).await?;
            let proxy = FaultProxy::start(&format!("127.0.0.1:{}", redis.port())).await?;
            return Ok(Self {
                kind: Kind::Proxy(proxy),
                redis,
                near: "127.0.0.1".to_owned(),
            });
        }
        let network = PrivateNetwork::create()?;
        let near = network.outside().to_string();
        let listen = ["--bind", "127.0.0.1", &near, "--protected-mode", "no"];
        Ok(Self {
            redis: PrivateRedis::start(&listen).await?,
            kind: Kind::Network(network),
            near,
        })
    }

    /// The Redis at the near end.
    #[must_use]
    pub fn redis(&self) -> &PrivateRedis {
        &self.redis
    }

    /// Whether what is cut is lost, and not only late.
    #[must_use]
    pub fn loses(&self) -> bool {
        matches!(self.kind, Kind::Network(_))
    }

    /// Services started at the far end from now on ask a name server that never answers, as long as what is
    /// returned lives; `None` where that takes a network.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn silence_names(&self) -> Result<Option<UdpSocket>> {
        let Kind::Network(network) = &self.kind else {
            return Ok(None);
        };
        network.ask_for_names(network.outside())?;
        Ok(Some(UdpSocket::bind((network.outside(), 53))?))
    }

    /// A group at the far end that has subscribed.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn far_group(&self, args: &[&str]) -> Result<Service> {
        let group = self.far(&binaries().await?.group, args).await?;
        wait_until_subscribed(&group).await?;
        Ok(group)
    }

    /// A consumer at the far end that has registered with a group at the near end.
    ///
    /// # Errors
    /// When it cannot be started, or does not register in time.
    pub async fn far_consumer(&self, near: &Service, args: &[&str]) -> Result<Service> {
        let (program, of_group) = (&binaries().await?.consumer, of_group(near));
        let consumer = self.far(program, &[&of_group, args].concat()).await?;
        wait_until_joined(near, &id_of(&consumer)?).await?;
        Ok(consumer)
    }

    /// A group at the near end that has subscribed.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn near_group(&self, args: &[&str]) -> Result<Service> {
        let own = ["--restApiHost", &self.near];
        group(&self.redis, &[&own, args].concat()).await
    }

    /// A consumer at the near end that has registered with a group at either.
    ///
    /// # Errors
    /// When it cannot be started, or does not register in time.
    pub async fn near_consumer(&self, group: &Service, args: &[&str]) -> Result<Service> {
        let own = ["--restApiHost", &self.near];
        crate::services::consumer(&self.redis, group, &[&own, args].concat()).await
    }

    /// From now on nothing passes between the far end and Redis.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn cut(&self) -> Result<()> {
        match &self.kind {
            Kind::Network(network) => network.cut(Cut::Server(self.redis.port())),
            Kind::Proxy(proxy) => {
                proxy.set(Fault::BlackHole);
                Ok(())
            }
        }
    }

    /// From now on Redis hears the far end, which does not hear Redis.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn cut_answers(&self) -> Result<()> {
        match &self.kind {
            Kind::Network(network) => network.cut(Cut::AnswersOf(self.redis.port())),
            Kind::Proxy(proxy) => {
                proxy.set(Fault::OneWay);
                Ok(())
            }
        }
    }

    /// From now on everything passes.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn heal(&self) -> Result<()> {
        match &self.kind {
            Kind::Network(network) => network.heal(),
            Kind::Proxy(proxy) => {
                proxy.set(Fault::Pass);
                Ok(())
            }
        }
    }

    async fn far(&self, program: &std::path::Path, args: &[&str]) -> Result<Service> {
        let redis_port = match &self.kind {
            Kind::Network(_) => self.redis.port_text(),
            Kind::Proxy(proxy) => proxy.port().to_string(),
        };
        let own = ["--restApiPort", "0", "--redisServerPort", &redis_port];
        match &self.kind {
            Kind::Network(network) => {
                let inside = network.inside().to_string();
                let where_to = ["--restApiHost", &inside, "--redisServerHost", &self.near];
                Service::start_in(network, program, &[&own, &where_to, args].concat()).await
            }
            Kind::Proxy(_) => Service::start(program, &[&own, args].concat(), &[]).await,
        }
    }
}

fn of_group(group: &Service) -> [&str; 4] {
    [
        "--consumerGroupAppHost",
        group.host(),
        "--consumerGroupAppPort",
        group.port_text(),
    ]
}
