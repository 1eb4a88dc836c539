//! A consumer that behaves as a test wants it to.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, ensure};
use local_stack::Service;
use serde_json::Value;

use crate::{FakeServer, Reply, calls, services::wait_until_joined};

/// It answers health checks well unless told otherwise, and writes nothing to any stream.
#[derive(Debug)]
pub struct FakeConsumer {
    server: FakeServer,
    manners: Arc<Mutex<Manners>>,
}

#[derive(Debug)]
struct Manners {
    to_messages: Reply,
    to_health_checks: Reply,
}

impl FakeConsumer {
    /// A consumer that answers every message so.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn start(to_messages: Reply) -> Result<Self> {
        let manners = Arc::new(Mutex::new(Manners {
            to_messages,
            to_health_checks: Reply::status(200),
        }));
        let shared = Arc::clone(&manners);
        let server = FakeServer::start(move |request| match request.path.as_str() {
            "/processMessage" => lock(&shared).to_messages.clone(),
            "/health" => lock(&shared).to_health_checks.clone(),
            _ => Reply::status(404),
        })
        .await?;
        Ok(Self { server, manners })
    }

    /// The same as a member of the group, which has taken note of it.
    ///
    /// # Errors
    /// When the group does not take it in.
    pub async fn join(group: &Service, to_messages: Reply) -> Result<Self> {
        let consumer = Self::start(to_messages).await?;
        consumer.register_with(group).await?;
        Ok(consumer)
    }

    /// Becomes a member of the group, which takes note of it.
    ///
    /// # Errors
    /// When the group does not take it in.
    pub async fn register_with(&self, group: &Service) -> Result<()> {
        let answer = calls::register(group, &self.id()).await?;
        ensure!(answer.status == 200, "{answer:?}");
        wait_until_joined(group, &self.id()).await
    }

    /// From now on it answers messages so.
    pub fn answer_messages(&self, reply: Reply) {
        lock(&self.manners).to_messages = reply;
    }

    /// Closes the connections on which it has been silent until now.
    pub fn hang_up(&self) {
        self.server.hang_up();
    }

    /// From now on it answers health checks so.
    pub fn answer_health_checks(&self, reply: Reply) {
        lock(&self.manners).to_health_checks = reply;
    }

    /// The id it registers under.
    #[must_use]
    pub fn id(&self) -> String {
        self.server.address()
    }

    /// How often its health was asked for.
    #[must_use]
    pub fn health_checks(&self) -> usize {
        self.server.requests("/health").len()
    }

    /// The ids of the messages it was given, in order, each as often as it was given.
    ///
    /// # Errors
    /// When it was given what is no message.
    pub fn received(&self) -> Result<Vec<String>> {
        let requests = self.server.requests("/processMessage");
        let id = |body: &[u8]| {
            let message: Value = serde_json::from_slice(body)?;
            let id = message["message_id"].as_str();
            Ok(id.context("a message without id was delivered")?.to_owned())
        };
        requests.iter().map(|request| id(&request.body)).collect()
    }
}

fn lock(manners: &Mutex<Manners>) -> MutexGuard<'_, Manners> {
    manners.lock().unwrap_or_else(PoisonError::into_inner)
}
