//! A worker whose settings stand in code.

use std::time::Duration;

use service_kit::{build::Build, program, settings::Loaded};

use super::{Worker, WorkerError};
use crate::{ConsumerSettings, Processor, SETTINGS, settings::Intake};

/// The settings of a [`Worker`], given in code.
///
/// What is not given is as `consumer-app` has it by default: Redis at `127.0.0.1:6379`, the group at
/// `127.0.0.1:5000`, the port 5001, no limit on how many messages are processed at once. Values are checked by
/// [`bind`](Self::bind).
#[derive(Debug)]
pub struct WorkerBuilder<P> {
    name: String,
    processor: P,
    build: Option<Build>,
    given: Vec<(&'static str, String)>,
}

impl<P: Processor> WorkerBuilder<P> {
    pub(super) fn new(name: String, processor: P) -> Self {
        Self {
            name,
            processor,
            build: None,
            given: Vec::new(),
        }
    }

    fn set(mut self, key: &'static str, value: String) -> Self {
        self.given.push((key, value));
        self
    }

    /// Where Redis is: `redis://[user:password@]host[:port][/database]`, `rediss://…` for TLS, or `unix:/path`.
    #[must_use]
    pub fn redis(self, url: impl Into<String>) -> Self {
        self.set("redis.url", url.into())
    }

    /// Where Redis is, without a login.
    #[must_use]
    pub fn redis_at(self, host: impl Into<String>, port: u16) -> Self {
        self.set("redis.host", host.into())
            .set("redis.port", port.to_string())
    }

    /// Where the group is.
    #[must_use]
    pub fn group(self, host: impl Into<String>, port: u16) -> Self {
        self.set("consumer_group_app.host", host.into())
            .set("consumer_group_app.port", port.to_string())
    }

    /// Where to listen; the port 0 is any free one.
    #[must_use]
    pub fn listen(self, host: impl Into<String>, port: u16) -> Self {
        self.set("rest_api.host", host.into())
            .set("rest_api.port", port.to_string())
    }

    /// Where the group reaches this worker, if not where it listens.
    #[must_use]
    pub fn advertised(self, host: impl Into<String>, port: u16) -> Self {
        self.set("consumer.advertised_host", host.into())
            .set("consumer.advertised_port", port.to_string())
    }

    /// How messages come.
    #[must_use]
    pub fn intake(self, intake: Intake) -> Self {
        self.set("consumer.intake", intake.as_str().to_owned())
    }

    /// How many messages are processed at once; 0: no limit.
    #[must_use]
    pub fn concurrency(self, count: u32) -> Self {
        self.set("consumer.processing_concurrency", count.to_string())
    }

    /// The most messages the group may send in one request, 1 to 65,535; 1: one by one.
    #[must_use]
    pub fn max_batch(self, count: u32) -> Self {
        self.set("consumer.max_batch", count.to_string())
    }

    /// With [`Intake::Pull`]: how often a message is tried, here or elsewhere.
    #[must_use]
    pub fn max_deliveries(self, count: u32) -> Self {
        self.set("consumer.max_deliveries", count.to_string())
    }

    /// How long an id is remembered at least, in whole seconds; zero: not at all. The same for the group and all
    /// its workers.
    #[must_use]
    pub fn dedup_window(self, time: Duration) -> Self {
        self.set("retention.dedup_window_seconds", seconds(time).to_string())
    }

    /// About how many entries the stream of processed messages keeps; 0: all.
    #[must_use]
    pub fn processed_max_len(self, count: u64) -> Self {
        self.set("retention.processed_max_len", count.to_string())
    }

    /// The stream that processed messages are added to; the queue is beside it.
    #[must_use]
    pub fn processed_stream(self, key: impl Into<String>) -> Self {
        self.set("names.processed_stream", key.into())
    }

    /// How often to check that the group still knows this worker, in whole seconds.
    #[must_use]
    pub fn check_membership_every(self, time: Duration) -> Self {
        let key = "consumer_group_app.registration_check_interval_seconds";
        self.set(key, seconds(time).to_string())
    }

    /// How long work may take to finish in the end, in whole seconds.
    #[must_use]
    pub fn shutdown_grace(self, time: Duration) -> Self {
        self.set("service.shutdown_grace_seconds", seconds(time).to_string())
    }

    /// What the worker was built from, for its metrics.
    #[must_use]
    pub fn built_from(self, build: Build) -> Self {
        let build = Some(build);
        Self { build, ..self }
    }

    /// Checks the settings and binds the address; nothing else is connected yet.
    ///
    /// # Errors
    /// [`WorkerError::Setting`] and [`WorkerError::Bind`].
    pub async fn bind(self) -> Result<Worker<P>, WorkerError> {
        let lists = [&[SETTINGS], program::SETTINGS].concat();
        let settings = ConsumerSettings::read(&Loaded::in_code(&lists, self.given)?)?;
        let worker = Worker::bind(self.name, settings, self.processor).await?;
        Ok(match self.build {
            Some(build) => worker.built_from(build),
            None => worker,
        })
    }
}

/// A time in whole seconds, rounded up.
pub(crate) fn seconds(time: Duration) -> u64 {
    let begun = u64::from(time.subsec_nanos() > 0);
    time.as_secs().saturating_add(begun)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Additions, Message, ProcessError};

    struct Idle;

    impl Processor for Idle {
        async fn process(&self, _: &Message) -> Result<Additions, ProcessError> {
            Ok(Additions::new())
        }
    }

    fn builder() -> WorkerBuilder<Idle> {
        Worker::builder("idle", Idle).listen("127.0.0.1", 0)
    }

    #[tokio::test]
    async fn every_setting_can_be_given_in_code() {
        let worker = builder()
            .redis("redis://user:secret@localhost/2")
            .group("localhost", 1)
            .advertised("worker-1", 2)
            .intake(Intake::Pull)
            .concurrency(3)
            .max_batch(4)
            .max_deliveries(5)
            .dedup_window(Duration::from_millis(5500))
            .processed_max_len(7)
            .processed_stream("other")
            .check_membership_every(Duration::from_secs(8))
            .shutdown_grace(Duration::from_secs(9))
            .bind()
            .await
            .unwrap();
        assert_eq!(worker.id().to_string(), "worker-1:2");
        let settings = &worker.settings;
        assert_eq!(settings.consumer.max_batch.get(), 4);
        let retention = settings.retention.retention();
        assert_eq!(retention.dedup_window, Duration::from_secs(6));
        assert_eq!(settings.service.shutdown_grace(), Duration::from_secs(9));
    }

    #[tokio::test]
    async fn what_cannot_be_used_is_told_before_anything_begins() {
        let refused = async |builder: WorkerBuilder<Idle>| {
            let error = builder.bind().await.map(drop).unwrap_err();
            assert!(matches!(error, WorkerError::Setting(_)), "{error:?}");
            error.to_string()
        };
        let text = refused(builder().max_batch(0)).await;
        assert!(
            text.contains("consumer.max_batch = `0` in the code"),
            "{text}"
        );
        let text = refused(builder().redis("redis://u:s3cret:1@h:x")).await;
        assert!(!text.contains("s3cret"), "{text}");
        let text = refused(Worker::builder(" ", Idle)).await;
        assert!(text.contains("name"), "{text}");
    }

    #[tokio::test]
    async fn an_address_that_is_taken_is_told() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = builder().listen("127.0.0.1", port).bind().await;
        let error = error.map(drop).unwrap_err();
        assert!(matches!(error, WorkerError::Bind(_)), "{error:?}");
    }
}
