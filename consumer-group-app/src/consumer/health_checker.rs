//! Removes dead consumers from the list, and puts back those that were only away.

mod check;
mod missed;
mod removal;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::Duration,
};

use protocol::ConsumerId;
use redis_bus::{
    BusError,
    consumer_list::{ConsumerList, Registration},
};
use service_kit::{
    backoff::Backoff, log_throttle::LogThrottle, supervisor::Role, telemetry::chain,
};
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::{
    check::{CHECK_AGAIN, Checked, all_ended, check, look},
    missed::Missed,
};
use crate::consumer::{
    client::{ConsumerClient, Health},
    registry::ConsumerGroup,
    sweeps::{CheckRequests, Suspicion},
};

/// How many consumers are checked at once.
const CHECKS_AT_ONCE: usize = 64;

/// How often those that were removed for not answering are looked at again.
const LOOK_FOR_MISSED_EVERY: Duration = Duration::from_secs(3);

/// How long a consumer may take to listen after it has registered.
const MAY_LISTEN_LATER: Duration = Duration::from_secs(10);

/// How often a failure that lasts is logged again.
const WARN_EVERY: Duration = Duration::from_secs(30);

/// How many lines about who is removed and put back are logged in how long; the rest is counted.
const LINES: u32 = 100;
const LINES_EVERY: Duration = Duration::from_secs(10);

/// The role that checks all consumers at start, at an interval and when the group is full, and single
/// ones when they join or are suspected. Each is asked once a second at the most.
#[derive(Debug)]
pub(crate) struct HealthChecker {
    list: ConsumerList,
    group: ConsumerGroup,
    client: ConsumerClient,
    requests: CheckRequests,
    rules: Rules,
    missed: Missed,
    /// Waiting for a check.
    to_check: VecDeque<ConsumerId>,
    /// Waiting for a check, or being checked.
    marked: HashSet<ConsumerId>,
    /// Those of them that the sweep under way waits for.
    swept: HashSet<ConsumerId>,
    /// When those were asked that were within the last second.
    asked: HashMap<ConsumerId, Instant>,
    failures: LogThrottle,
    lines: LogThrottle,
}

/// What the operator says about checks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// How often all consumers are checked.
    pub(crate) every: Duration,
    /// How many consumers may be registered.
    pub(crate) capacity: usize,
}

impl HealthChecker {
    pub(crate) fn new(
        list: ConsumerList,
        group: ConsumerGroup,
        client: ConsumerClient,
        requests: CheckRequests,
        rules: Rules,
    ) -> Self {
        Self {
            list,
            group,
            client,
            requests,
            rules,
            missed: Missed::new(rules.capacity),
            to_check: VecDeque::new(),
            marked: HashSet::new(),
            swept: HashSet::new(),
            asked: HashMap::new(),
            failures: LogThrottle::every(WARN_EVERY),
            lines: LogThrottle::times(LINES, LINES_EVERY),
        }
    }

    /// Sweeps, checks and looks for the missed, for ever; or until a check panics. The checks are tasks
    /// of their own, so that none waits for another, or for Redis.
    async fn work(&mut self) {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        let mut next_sweep = Instant::now();
        let mut look_again = interval(LOOK_FOR_MISSED_EVERY);
        let mut ask_again = interval(CHECK_AGAIN);
        for interval in [&mut look_again, &mut ask_again] {
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
        let (group, sweeps) = (self.group.clone(), self.requests.sweeps.clone());
        let (mut checks, mut looks) = (JoinSet::new(), JoinSet::new());
        loop {
            while checks.len() < CHECKS_AT_ONCE
                && let Some(id) = self.to_check.pop_front()
            {
                let not_before = self.asked.get(&id).map(|at| *at + CHECK_AGAIN);
                checks.spawn(check(self.client.clone(), id, not_before));
            }
            tokio::select! {
                () = sleep_until(next_sweep) => {
                    let wait = match self.sweep().await {
                        Ok(()) => {
                            backoff.reset();
                            self.rules.every
                        }
                        Err(cause) => {
                            self.log_failure(&cause);
                            backoff.next_wait()
                        }
                    };
                    next_sweep = Instant::now() + wait;
                }
                () = sweeps.wanted(), if self.swept.is_empty() => next_sweep = Instant::now(),
                Some(suspicion) = self.requests.suspects.recv() => match suspicion {
                    Suspicion::Failed(id) => self.mark_first(id),
                    Suspicion::Gone(id) => self.take_leave(id).await,
                },
                ids = group.to_ask() => ids.into_iter().for_each(|id| self.mark_first(id)),
                _ = ask_again.tick() => self.ask_again(),
                Some(checked) = checks.join_next() => {
                    let Some(checked) = all_ended(checked, &mut checks) else { return };
                    if let Err(cause) = self.act(checked).await {
                        self.log_failure(&cause);
                    }
                }
                Some(looked) = looks.join_next() => {
                    let Some(looked) = all_ended(looked, &mut looks) else { return };
                    for looked in looked {
                        self.put_back(looked).await;
                    }
                }
                _ = look_again.tick(), if !self.missed.is_empty() => {
                    for id in self.missed.begin_looking() {
                        looks.spawn(look(self.client.clone(), id));
                    }
                }
            }
        }
    }

    /// Marks everything in the list to be checked, and removes what is no consumer id.
    async fn sweep(&mut self) -> Result<(), BusError> {
        let members = self.list.members().await?;
        if let Some(first) = members.malformed.first() {
            let (entries, start) = (members.malformed.len(), first.get(..80).unwrap_or(first));
            let first = start.escape_ascii();
            warn!(entries, %first, "removing what is no consumer id");
            self.list.remove(&members.malformed).await?;
            self.requests.sweeps.removed();
        }
        if members.consumers.is_empty() {
            self.requests.sweeps.ended();
        }
        self.swept.extend(members.consumers.iter().cloned());
        for id in members.consumers {
            if self.marked.insert(id.clone()) {
                self.to_check.push_back(id);
            }
        }
        Ok(())
    }

    /// Marks a consumer to be checked before those that only have their turn.
    fn mark_first(&mut self, id: ConsumerId) {
        if self.marked.insert(id.clone()) {
            self.to_check.push_front(id);
        }
    }

    /// Has those asked again that have not answered since they joined.
    fn ask_again(&mut self) {
        self.asked.retain(|_, at| at.elapsed() < CHECK_AGAIN);
        for id in self.group.joining() {
            self.mark_first(id);
        }
    }

    /// Does what the findings ask for.
    async fn act(&mut self, checked: Vec<Checked>) -> Result<(), BusError> {
        let mut dead = HashMap::new();
        let was_sweeping = !self.swept.is_empty();
        for Checked { id, health, at } in checked {
            self.marked.remove(&id);
            self.asked.insert(id.clone(), at);
            let is_swept = self.swept.remove(&id);
            let joining_for = self.group.joining_for(&id);
            // It may have registered before it listens.
            let is_early = joining_for.is_some_and(|time| time < MAY_LISTEN_LATER);
            let cause = match health {
                // Whoever fails at its work stays left out for its time, however well it says it is.
                Health::Up(capacity) => {
                    self.group.answered(&id, capacity);
                    continue;
                }
                Health::Unknown(_) => continue,
                Health::Gone if is_early && !is_swept => continue,
                Health::Gone => "nothing listens there".to_owned(),
                Health::NoConsumer => "it is a group, and no consumer".to_owned(),
                Health::Down(cause) => {
                    self.missed.insert(id.clone());
                    cause
                }
            };
            dead.insert(id, cause);
        }
        let removed = self.remove(dead).await;
        if was_sweeping && self.swept.is_empty() {
            self.requests.sweeps.ended();
        }
        removed
    }

    /// Puts back one of the missed, if it answers again and there is room.
    async fn put_back(&mut self, Checked { id, health, .. }: Checked) {
        self.missed.looked(&id);
        match health {
            Health::Down(_) | Health::Unknown(_) => {}
            Health::Gone | Health::NoConsumer => self.missed.remove(&id),
            Health::Up(_) => match self.list.register(&id, self.rules.capacity).await {
                Ok(Registration::Full) => {}
                Ok(Registration::Registered | Registration::AlreadyMember) => {
                    self.missed.remove(&id);
                    if let Some(suppressed) = self.lines.due() {
                        info!(consumer.id = %id, suppressed, "put back a consumer that answers again");
                    }
                }
                Err(cause) => self.log_failure(&cause),
            },
        }
    }

    fn log_failure(&self, cause: &BusError) {
        if let Some(suppressed) = self.failures.due() {
            warn!(
                cause = chain(cause),
                suppressed, "cannot check the list of consumers; trying again"
            );
        }
    }
}

impl Role for HealthChecker {
    async fn run(&mut self, cancelled: CancellationToken) {
        // What a run that panicked had under way is checked again.
        self.marked.clear();
        self.to_check.clear();
        self.swept.clear();
        self.missed.stop_looking();
        tokio::select! {
            () = cancelled.cancelled() => {}
            () = self.work() => {}
        }
    }
}
