//! Removes dead consumers from the list, and puts back those that were only away.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::Duration,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use protocol::ConsumerId;
use redis_bus::{BusError, consumer_list::ConsumerList};
use service_kit::{
    backoff::Backoff, occasionally::Occasionally, supervisor::Role, telemetry::chain,
};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    consumer_client::{ConsumerClient, Health},
    consumer_group::ConsumerGroup,
};

/// How many checks a consumer must fail to be removed, unless nothing listens at its address at all.
const CHECKS: u32 = 3;

/// The time between them.
const CHECK_AGAIN: Duration = Duration::from_millis(500);

/// How many consumers are checked at once.
const CHECKS_AT_ONCE: usize = 32;

/// How often those that were removed for not answering are looked at again, and for how long.
const LOOK_FOR_MISSED_EVERY: Duration = Duration::from_secs(3);
const MISSED_FOR: Duration = Duration::from_secs(600);

/// How often a failure that lasts is logged again.
const WARN_EVERY: Duration = Duration::from_secs(30);

/// The role that checks all consumers at start and at an interval, and single ones when told to.
#[derive(Debug)]
pub(crate) struct HealthChecker {
    list: ConsumerList,
    group: ConsumerGroup,
    client: ConsumerClient,
    suspects: mpsc::Receiver<ConsumerId>,
    rules: Rules,
    /// Removed for not answering, and when. They believe themselves registered for minutes yet, so one
    /// that answers again, after a freeze or a network failure, is put back.
    missed: HashMap<ConsumerId, Instant>,
    /// Waiting for a check.
    to_check: VecDeque<ConsumerId>,
    /// Waiting for a check, or being checked.
    marked: HashSet<ConsumerId>,
    failures: Occasionally,
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
        suspects: mpsc::Receiver<ConsumerId>,
        rules: Rules,
    ) -> Self {
        let failures = Occasionally::every(WARN_EVERY);
        Self {
            list,
            group,
            client,
            suspects,
            rules,
            missed: HashMap::new(),
            to_check: VecDeque::new(),
            marked: HashSet::new(),
            failures,
        }
    }

    /// Sweeps, checks and looks for the missed, for ever.
    async fn work(&mut self) {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        let mut next_sweep = Instant::now();
        let mut look = interval(LOOK_FOR_MISSED_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut checks = FuturesUnordered::new();
        loop {
            while checks.len() < CHECKS_AT_ONCE
                && let Some(id) = self.to_check.pop_front()
            {
                checks.push(check(self.client.clone(), id));
            }
            tokio::select! {
                () = sleep_until(next_sweep) => {
                    let wait = match self.sweep().await {
                        Ok(()) => {
                            backoff.reset();
                            self.rules.every
                        }
                        Err(cause) => {
                            self.complain(&cause);
                            backoff.next_wait()
                        }
                    };
                    next_sweep = Instant::now() + wait;
                }
                Some(id) = self.suspects.recv() => self.mark(id),
                Some((id, health)) = checks.next() => {
                    self.marked.remove(&id);
                    if let Err(cause) = self.act(id, health).await {
                        self.complain(&cause);
                    }
                }
                _ = look.tick(), if !self.missed.is_empty() => self.look_for_missed().await,
            }
        }
    }

    /// Marks everything in the list to be checked, and removes what is no consumer id.
    async fn sweep(&mut self) -> Result<(), BusError> {
        let members = self.list.members().await?;
        if let Some(first) = members.malformed.first() {
            let (entries, first) = (members.malformed.len(), shown(first));
            warn!(entries, first, "removing what is no consumer id");
        }
        for entry in &members.malformed {
            self.list.remove(entry).await?;
        }
        members.consumers.into_iter().for_each(|id| self.mark(id));
        Ok(())
    }

    /// Marks a consumer to be checked, unless it is already.
    fn mark(&mut self, id: ConsumerId) {
        if self.marked.insert(id.clone()) {
            self.to_check.push_back(id);
        }
    }

    /// Does what a check's finding asks for.
    async fn act(&mut self, id: ConsumerId, health: Health) -> Result<(), BusError> {
        let cause = match health {
            // Whoever fails at its work stays left out for its time, however well it says it is.
            Health::Up { max_batch } => {
                self.group.learn(&id, max_batch);
                return Ok(());
            }
            Health::Unknown(_) => return Ok(()),
            Health::Gone => "nothing listens there".to_owned(),
            Health::Down(cause) => {
                self.missed.insert(id.clone(), Instant::now());
                cause
            }
        };
        if self.list.unregister(&id).await? {
            warn!(consumer.id = %id, cause, "removed a consumer that does not answer");
        }
        Ok(())
    }

    /// Puts back the missed that answer again.
    async fn look_for_missed(&mut self) {
        self.missed.retain(|_, since| since.elapsed() < MISSED_FOR);
        let missed: Vec<_> = self.missed.keys().cloned().collect();
        for id in missed {
            match self.client.health(&id).await {
                Health::Down(_) | Health::Unknown(_) => {}
                Health::Gone => {
                    self.missed.remove(&id);
                }
                Health::Up { .. } => match self.list.register(&id, self.rules.capacity).await {
                    Ok(_) => {
                        self.missed.remove(&id);
                        info!(consumer.id = %id, "put back a consumer that answers again");
                    }
                    Err(cause) => self.complain(&cause),
                },
            }
        }
    }

    fn complain(&self, cause: &BusError) {
        if let Some(held_back) = self.failures.due() {
            let cause = chain(cause);
            warn!(
                cause,
                held_back, "cannot check the list of consumers; trying again"
            );
        }
    }
}

/// The start of what may be anything, for a log.
fn shown(entry: &[u8]) -> String {
    let text = String::from_utf8_lossy(entry);
    let start: String = text.chars().take(80).collect();
    start.escape_debug().to_string()
}

impl Role for HealthChecker {
    async fn run(&mut self, cancelled: CancellationToken) {
        // What a run that panicked had under way is checked again.
        self.marked.clear();
        self.to_check.clear();
        tokio::select! {
            () = cancelled.cancelled() => {}
            () = self.work() => {}
        }
    }
}

/// Checks one consumer, more than once if need be.
async fn check(client: ConsumerClient, id: ConsumerId) -> (ConsumerId, Health) {
    let mut health = client.health(&id).await;
    for _ in 1..CHECKS {
        match health {
            Health::Up { .. } | Health::Gone => break,
            Health::Down(_) | Health::Unknown(_) => sleep(CHECK_AGAIN).await,
        }
        health = client.health(&id).await;
    }
    (id, health)
}
