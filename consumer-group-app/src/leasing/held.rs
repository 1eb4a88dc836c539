//! The messages that are leased.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use protocol::{Position, lease::LeaseToken};
use tokio::time::Instant;

use super::workers::Worker;
use crate::delivery::Delivery;

/// A message that a worker has.
#[derive(Debug)]
pub(super) struct Held {
    /// As in its token.
    pub(super) fence: u64,
    pub(super) worker: Arc<Worker>,
    /// When the lease ends.
    pub(super) until: Instant,
    /// Whether it was given together with others: one of them may be what makes the worker fail.
    pub(super) had_company: bool,
    pub(super) delivery: Delivery,
}

impl Held {
    pub(super) fn position(&self) -> Position {
        self.delivery.leased.at.position
    }

    fn is_of(&self, token: &LeaseToken) -> bool {
        self.fence == token.fence && self.delivery.leased.at.queue == token.queue
    }
}

/// Those of this replica, by where they stand.
#[derive(Debug, Default)]
pub(super) struct HeldMessages(Mutex<HashMap<Position, Held>>);

impl HeldMessages {
    fn held(&self) -> MutexGuard<'_, HashMap<Position, Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn put(&self, held: Held) {
        self.held().insert(held.position(), held);
    }

    /// Takes out the message of a lease that has not ended.
    pub(super) fn take(&self, token: &LeaseToken) -> Option<Held> {
        let mut all = self.held();
        let held = all.get(&token.position)?;
        let is_good = held.is_of(token) && Instant::now() < held.until;
        is_good.then(|| all.remove(&token.position))?
    }

    /// Takes out a message, if it is still leased under this number.
    pub(super) fn take_as(&self, position: Position, fence: u64) -> Option<Held> {
        let mut all = self.held();
        let is_same = all.get(&position)?.fence == fence;
        is_same.then(|| all.remove(&position))?
    }

    /// Has a lease last until then; answers who has it, and the id of its message. `None` when it has ended.
    pub(super) fn extend(
        &self,
        token: &LeaseToken,
        until: Instant,
    ) -> Option<(Arc<Worker>, String)> {
        let mut all = self.held();
        let held = all.get_mut(&token.position)?;
        if !held.is_of(token) || held.until <= Instant::now() {
            return None;
        }
        held.until = until;
        let id = held.delivery.leased.message.id().as_str().to_owned();
        Some((Arc::clone(&held.worker), id))
    }

    /// Has a lease last for longer that was extended through another replica.
    pub(super) fn lasts(&self, position: Position, fence: u64, longer: Duration) {
        if let Some(held) = self.held().get_mut(&position)
            && held.fence == fence
        {
            held.until = held.until.max(Instant::now() + longer);
        }
    }

    /// Where all stand, under which number, and whether the lease has ended.
    pub(super) fn all(&self) -> Vec<(Position, u64, bool)> {
        let now = Instant::now();
        let held = self.held();
        let each = held.iter();
        each.map(|(position, held)| (*position, held.fence, held.until <= now))
            .collect()
    }

    pub(super) fn take_all(&self) -> Vec<Held> {
        self.held().drain().map(|(_, held)| held).collect()
    }
}
