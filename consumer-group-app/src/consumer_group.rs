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
    flow::Flow,
    outbox::{Opened, Outboxes},
    record::{Outcomes, Record},
    standing::{Fitness, Standing},
    status::{ConsumerState, ConsumerStatus},
};

/// A consumer with the way to its outbox.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) id: ConsumerId,
    pub(crate) outbox: mpsc::Sender<Delivery>,
    flow: Arc<Flow>,
    standing: Arc<Standing>,
    record: Arc<Record>,
    left: CancellationToken,
}

impl Member {
    /// How many messages the consumer has been given, or will be as soon as it may.
    pub(crate) fn outstanding(&self) -> usize {
        self.flow.under_way() + self.waiting()
    }

    /// How many more it may be given.
    pub(crate) fn room(&self) -> usize {
        self.flow.room(self.waiting()).min(self.outbox.capacity())
    }

    fn waiting(&self) -> usize {
        self.outbox.max_capacity() - self.outbox.capacity()
    }
}

/// Those that are members no more.
#[derive(Debug, Default)]
struct Gone {
    leaving: Vec<Leaving>,
    /// What the attempts came to of those that have finished what they had, and how often those were
    /// left out.
    outcomes: Outcomes,
    ejections: u64,
}

impl Gone {
    /// Keeps those that are not done yet, and of the others what they did.
    fn tidy(&mut self) {
        let is_done = |leaving: &mut Leaving| leaving.flow.strong_count() == 0;
        for done in self.leaving.extract_if(.., is_done) {
            let (outcomes, ejections) = done.record.counts();
            self.outcomes.add(&outcomes);
            self.ejections += ejections;
        }
    }
}

/// A consumer that has left. Its flow is in use for as long as its outbox has work.
#[derive(Debug)]
struct Leaving {
    id: ConsumerId,
    flow: Weak<Flow>,
    record: Arc<Record>,
}

/// The set of registered consumers; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct ConsumerGroup(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    outboxes: Outboxes,
    members: Mutex<Vec<Member>>,
    gone: Mutex<Gone>,
    changed: Arc<Notify>,
}

impl ConsumerGroup {
    /// A group without members; `changed` is notified when the members change.
    pub(crate) fn new(outboxes: Outboxes, changed: Arc<Notify>) -> Self {
        Self(Arc::new(Shared {
            outboxes,
            members: Mutex::default(),
            gone: Mutex::default(),
            changed,
        }))
    }

    fn members(&self) -> MutexGuard<'_, Vec<Member>> {
        self.0
            .members
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn gone(&self) -> MutexGuard<'_, Gone> {
        self.0.gone.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the members those of the list: who is new gets an outbox, whose id is gone loses it.
    pub(crate) fn follow(&self, list: &[ConsumerId]) {
        let listed: HashSet<&ConsumerId> = list.iter().collect();
        let mut members = self.members();
        let mut gone = self.gone();
        gone.tidy();
        let before = members.len();
        members.retain(|member| {
            let stays = listed.contains(&member.id);
            if !stays {
                member.left.cancel();
                gone.leaving.push(Leaving {
                    id: member.id.clone(),
                    flow: Arc::downgrade(&member.flow),
                    record: Arc::clone(&member.record),
                });
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
        let left = self.0.outboxes.stop.child_token();
        let Opened {
            outbox,
            flow,
            standing,
            record,
        } = self.0.outboxes.open(id, left.clone());
        Member {
            id: id.clone(),
            outbox,
            flow,
            standing,
            record,
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
            .filter(|fitness| matches!(fitness, Fitness::Ejected | Fitness::Closed))
            .count();
        let ignore_ejection = out * 2 > members.len();
        let may_be_picked = |fitness: &Fitness| match fitness {
            Fitness::Active => true,
            Fitness::Ejected => ignore_ejection,
            Fitness::Closed | Fitness::Waiting => false,
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
        let member = |member: &Member| {
            let state = match member.standing.fitness() {
                Fitness::Active | Fitness::Waiting => ConsumerState::Active,
                Fitness::Ejected | Fitness::Closed => ConsumerState::Ejected,
            };
            ConsumerStatus::new(&member.id, state, &member.flow, &member.record)
        };
        let gone = self.gone();
        let draining = gone.leaving.iter().filter_map(|leaving| {
            let flow = leaving.flow.upgrade()?;
            let (id, state) = (&leaving.id, ConsumerState::Draining);
            Some(ConsumerStatus::new(id, state, &flow, &leaving.record))
        });
        members.iter().map(member).chain(draining).collect()
    }

    /// What all attempts since the start came to, and how often any consumer was left out.
    pub(crate) fn counts(&self) -> (Outcomes, u64) {
        let members = self.members();
        let gone = self.gone();
        let (mut outcomes, mut ejections) = (gone.outcomes, gone.ejections);
        let present = members.iter().map(|member| &member.record);
        let records = present.chain(gone.leaving.iter().map(|leaving| &leaving.record));
        for record in records {
            let (more, further) = record.counts();
            outcomes.add(&more);
            ejections += further;
        }
        (outcomes, ejections)
    }

    /// Notes how many messages a member takes in one request, as it says.
    pub(crate) fn learn(&self, id: &ConsumerId, max_batch: Option<u32>) {
        if let Some(member) = self.members().iter().find(|member| member.id == *id) {
            member.flow.set_max_batch(max_batch);
        }
    }

    /// A consumer has registered. One that was a member already may be another program by now.
    pub(crate) fn ask(&self, id: &ConsumerId) {
        if let Some(member) = self.members().iter().find(|member| member.id == *id) {
            member.flow.ask();
        }
    }

    /// Whether there is a member that is not among these.
    pub(crate) fn has_more_than(&self, ids: &[ConsumerId]) -> bool {
        self.members()
            .iter()
            .any(|member| !ids.contains(&member.id))
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
