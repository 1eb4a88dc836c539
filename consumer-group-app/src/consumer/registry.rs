//! The consumers of the group, as the list in Redis says, and who may be picked of them.

mod departed;

use std::{
    collections::{HashMap, HashSet},
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use protocol::ConsumerId;
use service_kit::log_throttle::LogThrottle;
use tokio::{sync::Notify, task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::info;

use self::departed::Departed;
use crate::{
    consumer::{
        client::Capacity, handle::ConsumerHandle, outlier::Fitness, sender::Senders,
        stats::OutcomeCounts,
    },
    observe::status::{ConsumerState, ConsumerStatus},
};

/// How many lines about who joins and leaves are logged in how long; the rest is counted.
const LINES: u32 = 100;
const LINES_EVERY: Duration = Duration::from_secs(10);

/// The set of registered consumers; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct ConsumerGroup(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    senders: Senders,
    members: Mutex<Vec<Member>>,
    departed: Mutex<Departed>,
    /// What those declared that registered here, members or about to be.
    declared: Mutex<HashMap<ConsumerId, NonZeroU32>>,
    changed: Arc<Notify>,
    to_ask: Notify,
    lines: LogThrottle,
}

/// A consumer that is in the list.
#[derive(Debug)]
struct Member {
    consumer: Arc<ConsumerHandle>,
    /// Ends some time after `left`.
    sender: JoinHandle<()>,
    left: CancellationToken,
    since: Instant,
    /// Whether its health check was answered well since it joined. Until then it is given nothing.
    has_answered: bool,
    /// Whether it should be asked now.
    is_to_be_asked: bool,
}

impl ConsumerGroup {
    /// A group without members; `changed` is notified when the members change.
    pub(crate) fn new(senders: Senders, changed: Arc<Notify>) -> Self {
        Self(Arc::new(Shared {
            senders,
            members: Mutex::default(),
            departed: Mutex::default(),
            declared: Mutex::default(),
            changed,
            to_ask: Notify::new(),
            lines: LogThrottle::times(LINES, LINES_EVERY),
        }))
    }

    fn members(&self) -> MutexGuard<'_, Vec<Member>> {
        self.0
            .members
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn departed(&self) -> MutexGuard<'_, Departed> {
        self.0
            .departed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn declared(&self) -> MutexGuard<'_, HashMap<ConsumerId, NonZeroU32>> {
        let declared = self.0.declared.lock();
        declared.unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the members those of the list: who is new gets a sender, whose id is gone loses it.
    pub(crate) fn follow(&self, list: &[ConsumerId]) {
        let listed: HashSet<&ConsumerId> = list.iter().collect();
        let mut members = self.members();
        let mut departed = self.departed();
        departed.tidy();
        let before = members.len();
        for left in members.extract_if(.., |member| !listed.contains(&member.consumer.id)) {
            left.left.cancel();
            if left.has_answered
                && let Some(suppressed) = self.0.lines.due()
            {
                info!(consumer.id = %left.consumer.id, suppressed, "a consumer left");
            }
            departed.add(left.consumer, left.sender);
        }
        let has_lost = members.len() != before;
        if has_lost {
            self.declared().retain(|id, _| listed.contains(id));
        }
        let present: HashSet<_> = members
            .iter()
            .map(|member| member.consumer.id.clone())
            .collect();
        let new = list.iter().filter(|id| !present.contains(id));
        let before = members.len();
        members.extend(new.map(|id| self.join(id)));
        if members.len() != before {
            self.0.to_ask.notify_one();
        }
        if has_lost {
            self.0.changed.notify_one();
        }
    }

    fn join(&self, id: &ConsumerId) -> Member {
        let left = self.0.senders.stop.child_token();
        let (consumer, sender) = self.0.senders.start(id, left.clone());
        Member {
            consumer,
            sender,
            left,
            since: Instant::now(),
            has_answered: false,
            is_to_be_asked: true,
        }
    }

    /// The members that may be picked now. When more than half are ejected for failing, ejection is
    /// ignored: the fault is then likelier with the message, or the network, than with all of them.
    pub(crate) fn candidates(&self) -> Vec<Arc<ConsumerHandle>> {
        let members = self.members();
        let members = members.iter().filter(|member| member.has_answered);
        let fitness: Vec<_> = members
            .clone()
            .map(|member| member.consumer.outlier.fitness())
            .collect();
        let out = fitness
            .iter()
            .filter(|fitness| matches!(fitness, Fitness::Ejected | Fitness::Closed))
            .count();
        let ignore_ejection = out * 2 > fitness.len();
        let may_be_picked = |fitness: &Fitness| match fitness {
            Fitness::Active => true,
            Fitness::Ejected => ignore_ejection,
            Fitness::Closed | Fitness::Waiting => false,
        };
        let picked = members
            .zip(&fitness)
            .filter(|(_, fitness)| may_be_picked(fitness));
        picked
            .map(|(member, _)| Arc::clone(&member.consumer))
            .collect()
    }

    /// Every member and its state, and those that have left and are not done yet.
    pub(crate) fn states(&self) -> Vec<ConsumerStatus> {
        let members = self.members();
        let member = |member: &Member| {
            let state = match member.consumer.outlier.fitness() {
                _ if !member.has_answered => ConsumerState::Joining,
                Fitness::Active | Fitness::Waiting => ConsumerState::Active,
                Fitness::Ejected | Fitness::Closed => ConsumerState::Ejected,
            };
            ConsumerStatus::new(&member.consumer, state)
        };
        let departed = self.departed();
        let draining = departed.draining();
        let draining = draining.map(|it| ConsumerStatus::new(it, ConsumerState::Draining));
        members.iter().map(member).chain(draining).collect()
    }

    /// What all attempts since the start came to, and how often any consumer was left out.
    pub(crate) fn counts(&self) -> (OutcomeCounts, u64) {
        let members = self.members();
        let (mut outcomes, mut ejections) = self.departed().counts();
        for member in members.iter() {
            let (more, further) = member.consumer.stats.counts();
            outcomes.add(&more);
            ejections += further;
        }
        (outcomes, ejections)
    }

    /// A member answered its health check well, and says how much it takes.
    pub(crate) fn answered(&self, id: &ConsumerId, capacity: Capacity) {
        let Capacity {
            max_batch,
            concurrency,
        } = capacity;
        let concurrency = concurrency.or_else(|| self.declared().get(id).copied());
        let mut members = self.members();
        let Some(member) = members.iter_mut().find(|member| member.consumer.id == *id) else {
            return;
        };
        member.consumer.window.set_max_batch(max_batch);
        member.consumer.window.set_declared(concurrency);
        if !member.has_answered {
            member.has_answered = true;
            if let Some(suppressed) = self.0.lines.due() {
                let after = member.since.elapsed().as_millis();
                info!(consumer.id = %id, after_ms = u64::try_from(after).unwrap_or(u64::MAX),
                    suppressed, "a consumer joined");
            }
            self.0.changed.notify_one();
        }
    }

    /// A consumer has registered, and may have said how many messages it works on at once; that counts once its
    /// health check was answered. One that was a member already may be another program by now.
    pub(crate) fn registered(&self, id: &ConsumerId, concurrency: Option<NonZeroU32>) {
        match concurrency {
            Some(concurrency) => self.declared().insert(id.clone(), concurrency),
            None => self.declared().remove(id),
        };
        if let Some(member) = self
            .members()
            .iter_mut()
            .find(|member| member.consumer.id == *id)
        {
            member.is_to_be_asked = true;
            self.0.to_ask.notify_one();
        }
    }

    /// Whether there is a member that is not among these.
    pub(crate) fn has_more_than(&self, ids: &[ConsumerId]) -> bool {
        self.members()
            .iter()
            .any(|member| !ids.contains(&member.consumer.id))
    }

    /// Waits until some members should be asked how they are, and takes those.
    pub(crate) async fn to_ask(&self) -> Vec<ConsumerId> {
        self.0.to_ask.notified().await;
        let mut members = self.members();
        let asked = members.iter_mut().filter_map(|member| {
            std::mem::take(&mut member.is_to_be_asked).then(|| member.consumer.id.clone())
        });
        asked.collect()
    }

    /// Those that have not answered since they joined.
    pub(crate) fn joining(&self) -> Vec<ConsumerId> {
        let members = self.members();
        let joining = members.iter().filter(|member| !member.has_answered);
        joining.map(|member| member.consumer.id.clone()).collect()
    }

    /// For how long a member has been joining; `None` when it has joined, or is no member.
    pub(crate) fn joining_for(&self, id: &ConsumerId) -> Option<Duration> {
        let members = self.members();
        let mut joining = members.iter().filter(|member| !member.has_answered);
        let member = joining.find(|member| member.consumer.id == *id)?;
        Some(member.since.elapsed())
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
