//! How others have consumers checked: one that failed, or all when a registration finds the group full.

use std::{sync::Arc, time::Duration};

use protocol::ConsumerId;
use redis_bus::{
    BusError,
    consumer_list::{ConsumerList, Registration},
};
use tokio::{
    sync::{Notify, mpsc, watch},
    time::{Instant, timeout_at},
};

/// How long a registration waits for a slot at the most.
const WAIT_FOR_A_SLOT: Duration = Duration::from_secs(3);

/// What a sender has found out about its consumer.
#[derive(Debug)]
pub(crate) enum Suspicion {
    /// It failed: is it still there?
    Failed(ConsumerId),
    /// It said that it is a consumer no longer.
    Gone(ConsumerId),
}

/// Where others ask for checks.
#[derive(Debug)]
pub(crate) struct CheckRequests {
    /// Of one consumer.
    pub(crate) suspects: mpsc::Receiver<Suspicion>,
    /// Of all.
    pub(crate) sweeps: Sweeps,
}

/// How far the checks of all members have got.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Progress {
    /// How often all have been checked.
    ended: u64,
    /// How often some were removed.
    removals: u64,
}

/// Asks for a check of all members, and tells what comes of it; clones share it. One check of all is
/// under way at a time, whoever asked for it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sweeps {
    wanted: Arc<Notify>,
    progress: watch::Sender<Progress>,
}

impl Sweeps {
    /// Registers a consumer. When the group is full all members are checked first: a slot whose owner
    /// does not answer is not taken.
    pub(crate) async fn register(
        &self,
        list: &ConsumerList,
        id: &ConsumerId,
        capacity: usize,
    ) -> Result<Registration, BusError> {
        let deadline = Instant::now() + WAIT_FOR_A_SLOT;
        let mut progress = self.progress.subscribe();
        let before = progress.borrow_and_update().ended;
        let mut registration = list.register(id, capacity).await?;
        if registration == Registration::Full {
            self.want();
        }
        let mut has_ended = false;
        while registration == Registration::Full
            && !has_ended
            && let Ok(Ok(())) = timeout_at(deadline, progress.changed()).await
        {
            has_ended = progress.borrow_and_update().ended != before;
            registration = list.register(id, capacity).await?;
        }
        Ok(registration)
    }

    /// All members should be checked now.
    pub(crate) fn want(&self) {
        self.wanted.notify_one();
    }

    /// Waits until somebody wants all members to be checked.
    pub(crate) async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// All have been checked.
    pub(crate) fn ended(&self) {
        self.progress.send_modify(|progress| progress.ended += 1);
    }

    /// Some were removed.
    pub(crate) fn removed(&self) {
        self.progress.send_modify(|progress| progress.removals += 1);
    }
}
