//! The list of consumers, told again whenever it changes.
//!
//! Redis pushes an invalidation when the key is written (`CLIENT TRACKING ON BCAST`,
//! <https://redis.io/docs/latest/develop/reference/client-side-caching/>); a slow poll stands behind that,
//! for a push that is lost and for servers without tracking.

use std::{sync::Arc, time::Duration};

use redis::{AsyncConnectionConfig, ProtocolVersion, PushInfo, PushKind, cmd};
use tokio::{
    sync::Notify,
    time::{Interval, MissedTickBehavior, interval},
};
use tracing::debug;

use crate::{BusError, Endpoint, consumer_list::Members, link::Link};

/// How often the list is read when no change is pushed.
const POLL_EVERY: Duration = Duration::from_secs(1);

/// A connection that follows the list.
pub struct ConsumerWatch {
    link: Link,
    changed: Arc<Notify>,
    poll: Interval,
    key: String,
    at: String,
}

impl ConsumerWatch {
    /// Connects and asks Redis to tell of changes.
    ///
    /// # Errors
    /// [`BusError`] when Redis cannot be reached or does not accept the login.
    pub async fn open(endpoint: &Endpoint, key: &str) -> Result<Self, BusError> {
        let changed = Arc::new(Notify::new());
        let pushed = Arc::clone(&changed);
        let config = AsyncConnectionConfig::new().set_push_sender(move |push: PushInfo| {
            if matches!(push.kind, PushKind::Invalidate | PushKind::Disconnection) {
                pushed.notify_one();
            }
            Ok::<_, redis::aio::SendError>(())
        });
        let link = endpoint.connect(ProtocolVersion::RESP3, config).await?;
        let tracking = cmd("CLIENT")
            .arg(&["TRACKING", "ON", "BCAST", "PREFIX", key])
            .query_async::<()>(&mut link.asking())
            .await;
        if let Err(cause) = tracking {
            debug!(%cause, "Redis does not push changes of the list of consumers; it is polled");
        }
        let mut poll = interval(POLL_EVERY);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let at = endpoint.at().to_owned();
        Ok(Self {
            link,
            changed,
            poll,
            key: key.to_owned(),
            at,
        })
    }

    /// The list, at once after opening, then after each change and at least every second.
    ///
    /// # Errors
    /// [`BusError`] when the connection has ended; open another one then.
    pub async fn next(&mut self) -> Result<Members, BusError> {
        tokio::select! {
            () = self.changed.notified() => {}
            _ = self.poll.tick() => {}
        }
        let read = cmd("LRANGE")
            .arg(&self.key)
            .arg(0)
            .arg(-1)
            .query_async(&mut self.link.asking())
            .await;
        read.map(Members::read)
            .map_err(|cause| BusError::new(&self.at, cause))
    }
}

impl std::fmt::Debug for ConsumerWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConsumerWatch")
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}
