//! Keeps the consumer registered with the group.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use protocol::http::RegistrationRequest;
use service_kit::{
    backoff::Backoff, log_throttle::LogThrottle, supervisor::Role, telemetry::chain,
};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::group_client::{GroupClient, GroupError};

/// The waits while the group does not answer grow from this…
const RETRY_BASE: Duration = Duration::from_secs(1);

/// …to this, so that a group that starts late has its consumers within seconds.
const RETRY_CAP: Duration = Duration::from_secs(4);

/// How long unregistering may hold up the end of the process.
const UNREGISTER_TIMEOUT: Duration = Duration::from_secs(2);

/// How often a failure that lasts is logged again.
const WARN_EVERY: Duration = Duration::from_secs(30);

/// Whether the group knows the consumer; clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Registration(Arc<AtomicBool>);

impl Registration {
    /// Whether the consumer has registered, as far as it knows.
    #[must_use]
    pub(crate) fn is_done(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, is_done: bool) {
        self.0.store(is_done, Ordering::Relaxed);
    }
}

/// The role that registers, checks the membership, and unregisters at the end.
#[derive(Debug)]
pub(crate) struct Registrar {
    group: GroupClient,
    request: RegistrationRequest,
    check_interval: Duration,
    registration: Registration,
    failures: LogThrottle,
}

impl Registrar {
    /// A registrar for a consumer that answers already.
    #[must_use]
    pub(crate) fn new(
        group: GroupClient,
        request: RegistrationRequest,
        check_interval: Duration,
    ) -> Self {
        let failures = LogThrottle::every(WARN_EVERY);
        Self {
            group,
            request,
            check_interval,
            registration: Registration::default(),
            failures,
        }
    }

    /// Tells how far it has got.
    #[must_use]
    pub(crate) fn registration(&self) -> Registration {
        self.registration.clone()
    }

    /// Sees to it, once, that the group knows the consumer.
    async fn step(&self) -> Result<(), GroupError> {
        let again = self.registration.is_done();
        if again {
            if self.group.is_member(&self.request.consumer_id).await? {
                return Ok(());
            }
            self.registration.set(false);
        }
        self.group.register(&self.request).await?;
        self.registration.set(true);
        info!(consumer.id = %self.request.consumer_id, again, "registered: ready for messages");
        Ok(())
    }

    async fn unregister(&self) {
        match timeout(
            UNREGISTER_TIMEOUT,
            self.group.unregister(&self.request.consumer_id),
        )
        .await
        {
            Ok(Ok(())) => info!(consumer.id = %self.request.consumer_id, "unregistered"),
            Ok(Err(cause)) => warn!(cause = chain(&cause), "cannot unregister"),
            Err(_) => warn!("cannot unregister: the group did not answer in time"),
        }
    }
}

impl Role for Registrar {
    async fn run(&mut self, cancelled: CancellationToken) {
        let mut backoff = Backoff::new(RETRY_BASE, RETRY_CAP);
        while !cancelled.is_cancelled() {
            let wait = match self.step().await {
                Ok(()) => {
                    backoff.reset();
                    self.check_interval
                }
                Err(cause) => {
                    if let Some(suppressed) = self.failures.due() {
                        let cause = chain(&cause);
                        warn!(
                            cause,
                            suppressed, "not registered with the group; trying again"
                        );
                    }
                    backoff.next_wait()
                }
            };
            tokio::select! {
                () = cancelled.cancelled() => {}
                () = sleep(wait) => {}
            }
        }
        self.unregister().await;
    }
}
