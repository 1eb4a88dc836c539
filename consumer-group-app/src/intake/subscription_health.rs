//! When the group was subscribed to the channel, and when it was not.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

/// The times without a subscription, in which nothing published was heard; clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct SubscriptionHealth(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    subscribed_since: Option<SystemTime>,
    /// Since when a subscription that was there is missing.
    interrupted: Option<Instant>,
    count: u64,
    total: Duration,
}

impl SubscriptionHealth {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The group is subscribed; answers how long it was not, when that was an interruption.
    pub(crate) fn subscribed(&self) -> Option<Duration> {
        let mut state = self.state();
        state.subscribed_since = Some(SystemTime::now());
        let gap = state.interrupted.take()?.elapsed();
        state.total += gap;
        Some(gap)
    }

    /// The subscription broke.
    pub(crate) fn interrupted(&self) {
        let mut state = self.state();
        state.subscribed_since = None;
        state.count += 1;
        state.interrupted = Some(Instant::now());
    }

    /// The group gave the subscription up, because it ends.
    pub(crate) fn ended(&self) {
        self.state().subscribed_since = None;
    }

    /// Since when the group has been subscribed, if it is.
    pub(crate) fn subscribed_since(&self) -> Option<SystemTime> {
        self.state().subscribed_since
    }

    /// How often the subscription was interrupted.
    pub(crate) fn count(&self) -> u64 {
        self.state().count
    }

    /// How long all interruptions lasted together, the present one included.
    pub(crate) fn total(&self) -> Duration {
        let state = self.state();
        let present = state.interrupted.map(|since| since.elapsed());
        state.total + present.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_gap_is_counted_when_it_begins_and_grows_until_it_ends() {
        let (gaps, second) = (SubscriptionHealth::default(), Duration::from_secs(1));
        assert_eq!(gaps.subscribed(), None, "the first is no interruption");
        assert!(gaps.subscribed_since().is_some());
        gaps.interrupted();
        advance(second).await;
        assert_eq!((gaps.count(), gaps.total()), (1, second));
        assert_eq!(gaps.subscribed_since(), None);
        assert_eq!(gaps.subscribed(), Some(second));
        advance(second).await;
        gaps.interrupted();
        advance(second).await;
        assert_eq!((gaps.count(), gaps.total()), (2, 2 * second));
        gaps.subscribed();
        gaps.ended();
        assert_eq!((gaps.count(), gaps.subscribed_since()), (2, None));
    }
}
