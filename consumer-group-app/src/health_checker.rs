//! Removes dead consumers from the list, and puts back those that were only away.

use std::{collections::HashMap, time::Duration};

use futures_util::{StreamExt, stream};
use protocol::ConsumerId;
use redis_bus::{BusError, consumer_list::ConsumerList};
use service_kit::{
    backoff::Backoff, occasionally::Occasionally, supervisor::Role, telemetry::chain,
};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, sleep},
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
            failures,
        }
    }

    /// Checks everything in the list, until Redis could be asked.
    async fn sweep(&mut self) {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        while let Err(cause) = self.try_sweep().await {
            self.complain(&cause);
            sleep(backoff.next_wait()).await;
        }
    }

    async fn try_sweep(&mut self) -> Result<(), BusError> {
        let members = self.list.members().await?;
        for entry in &members.malformed {
            let entry_text = String::from_utf8_lossy(entry)
                .chars()
                .take(80)
                .collect::<String>();
            warn!(
                entry = entry_text.escape_debug().to_string(),
                "removing what is no consumer id"
            );
            self.list.remove(entry).await?;
        }
        let client = &self.client;
        let checks = stream::iter(members.consumers)
            .map(|id| async move {
                let health = check(client, &id).await;
                (id, health)
            })
            .buffer_unordered(CHECKS_AT_ONCE);
        let checked: Vec<_> = checks.collect().await;
        for (id, health) in checked {
            self.act(id, health).await?;
        }
        Ok(())
    }

    async fn check_suspect(&mut self, id: ConsumerId) {
        let health = check(&self.client, &id).await;
        if let Err(cause) = self.act(id, health).await {
            self.complain(&cause);
        }
    }

    /// Does what a check's finding asks for.
    async fn act(&mut self, id: ConsumerId, health: Health) -> Result<(), BusError> {
        let cause = match health {
            Health::Up => {
                self.group.readmit(&id);
                return Ok(());
            }
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
                Health::Down(_) => {}
                Health::Gone => {
                    self.missed.remove(&id);
                }
                Health::Up => match self.list.register(&id, self.rules.capacity).await {
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

/// Checks one consumer, more than once if need be.
async fn check(client: &ConsumerClient, id: &ConsumerId) -> Health {
    let mut health = client.health(id).await;
    for _ in 1..CHECKS {
        match health {
            Health::Up | Health::Gone => return health,
            Health::Down(_) => sleep(CHECK_AGAIN).await,
        }
        health = client.health(id).await;
    }
    health
}

impl Role for HealthChecker {
    async fn run(&mut self, cancelled: CancellationToken) {
        let mut sweep = interval(self.rules.every);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut look = interval(LOOK_FOR_MISSED_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let work = async {
            loop {
                tokio::select! {
                    _ = sweep.tick() => self.sweep().await,
                    Some(id) = self.suspects.recv() => self.check_suspect(id).await,
                    _ = look.tick(), if !self.missed.is_empty() => self.look_for_missed().await,
                }
            }
        };
        tokio::select! {
            () = cancelled.cancelled() => {}
            () = work => {}
        }
    }
}
