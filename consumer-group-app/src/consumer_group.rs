//! The consumers of the group, as the list in Redis says, and who may be picked of them.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use protocol::ConsumerId;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::{
    delivery::Delivery,
    outbox::Outboxes,
    standing::{Fitness, Standing},
    status::{ConsumerState, ConsumerStatus},
};

/// A consumer with the way to its outbox.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) id: ConsumerId,
    pub(crate) outbox: mpsc::Sender<Delivery>,
    standing: Arc<Standing>,
    left: CancellationToken,
}

/// The set of registered consumers; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct ConsumerGroup(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    outboxes: Outboxes,
    members: Mutex<Vec<Member>>,
    /// Those that have left. A standing is in use for as long as the outbox has work.
    leaving: Mutex<Vec<(ConsumerId, Weak<Standing>)>>,
    changed: Arc<Notify>,
}

impl ConsumerGroup {
    /// A group without members; `changed` is notified when the members change.
    pub(crate) fn new(outboxes: Outboxes, changed: Arc<Notify>) -> Self {
        Self(Arc::new(Shared {
            outboxes,
            members: Mutex::default(),
            leaving: Mutex::default(),
            changed,
        }))
    }

    fn members(&self) -> MutexGuard<'_, Vec<Member>> {
        self.0
            .members
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn leaving(&self) -> MutexGuard<'_, Vec<(ConsumerId, Weak<Standing>)>> {
        self.0
            .leaving
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the members those of the list: who is new gets an outbox, whose id is gone loses it.
    pub(crate) fn follow(&self, list: &[ConsumerId]) {
        let listed: HashSet<&ConsumerId> = list.iter().collect();
        let mut members = self.members();
        let mut leaving = self.leaving();
        leaving.retain(|(_, standing)| standing.strong_count() > 0);
        let before = members.len();
        members.retain(|member| {
            let stays = listed.contains(&member.id);
            if !stays {
                member.left.cancel();
                leaving.push((member.id.clone(), Arc::downgrade(&member.standing)));
                info!(consumer.id = %member.id, "a consumer left");
            }
            stays
        });
        let mut has_changed = members.len() != before;
        for id in list {
            if !members.iter().any(|member| member.id == *id) {
                info!(consumer.id = %id, "a consumer joined");
                members.push(self.join(id));
                has_changed = true;
            }
        }
        if has_changed {
            info!(consumers = members.len(), "the group changed");
            self.0.changed.notify_one();
        }
    }

    fn join(&self, id: &ConsumerId) -> Member {
        let (standing, left) = (
            Arc::new(Standing::default()),
            self.0.outboxes.stop.child_token(),
        );
        let outbox = self
            .0
            .outboxes
            .open(id, Arc::clone(&standing), left.clone());
        Member {
            id: id.clone(),
            outbox,
            standing,
            left,
        }
    }

    /// The members that may be picked now. When more than half are ejected for failing, ejection is
    /// ignored: the fault is then likelier with the message, or the network, than with all of them.
    pub(crate) fn candidates(&self) -> Vec<Member> {
        let members = self.members();
        let fitness: Vec<_> = members
            .iter()
            .map(|member| member.standing.fitness())
            .collect();
        let out = fitness
            .iter()
            .filter(|fitness| **fitness != Fitness::Active)
            .count();
        let ignore_ejection = out * 2 > members.len();
        let may_be_picked = |fitness: &Fitness| match fitness {
            Fitness::Active => true,
            Fitness::Ejected => ignore_ejection,
            Fitness::Closed => false,
        };
        let picked = members
            .iter()
            .zip(&fitness)
            .filter(|(_, fitness)| may_be_picked(fitness));
        picked.map(|(member, _)| member.clone()).collect()
    }

    /// Every member and its state, and those that have left and are not done yet.
    pub(crate) fn states(&self) -> Vec<ConsumerStatus> {
        let members = self.members();
        let member = |member: &Member| ConsumerStatus {
            consumer_id: member.id.clone(),
            state: match member.standing.fitness() {
                Fitness::Active => ConsumerState::Active,
                Fitness::Ejected | Fitness::Closed => ConsumerState::Ejected,
            },
        };
        let mut states: Vec<_> = members.iter().map(member).collect();
        let leaving = self.leaving();
        let draining = leaving
            .iter()
            .filter(|(_, standing)| standing.strong_count() > 0);
        states.extend(draining.map(|(id, _)| ConsumerStatus {
            consumer_id: id.clone(),
            state: ConsumerState::Draining,
        }));
        states
    }

    /// How many members there are.
    pub(crate) fn len(&self) -> usize {
        self.members().len()
    }

    /// Whether there is no member.
    pub(crate) fn is_empty(&self) -> bool {
        self.members().is_empty()
    }

    /// Lets every member go, for the end of the process.
    pub(crate) fn close(&self) {
        self.follow(&[]);
    }
}
