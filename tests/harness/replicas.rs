//! Replicas of the group side by side on one queue, with consumers.

use anyhow::{Result, ensure};
use local_stack::{PrivateRedis, Service, wait_until};

use crate::{
    Auditor, Bus, Ledger, PATIENCE, bus,
    ledger::Account,
    services::{self, id_of, wait_until_joined},
};

/// What to start.
#[derive(Debug, Clone, Copy)]
pub struct ReplicaOptions<'a> {
    /// How many replicas of the group.
    pub groups: usize,
    /// How many consumers; they register with the first replica.
    pub consumers: usize,
    /// Further arguments of Redis.
    pub redis_args: &'a [&'a str],
    /// Further arguments of every replica.
    pub group_args: &'a [&'a str],
    /// Further arguments of every consumer.
    pub consumer_args: &'a [&'a str],
}

impl Default for ReplicaOptions<'_> {
    /// Two replicas, three consumers that notice soon when they are not registered, nothing further.
    fn default() -> Self {
        Self {
            groups: 2,
            consumers: 3,
            redis_args: &[],
            group_args: &[],
            consumer_args: &["--registrationCheckIntervalSeconds", "1"],
        }
    }
}

/// The running system.
#[derive(Debug)]
pub struct Replicas {
    /// The consumers, in the order they were started.
    pub consumers: Vec<Service>,
    /// The replicas.
    pub groups: Vec<Service>,
    /// Their Redis.
    pub redis: PrivateRedis,
}

impl Replicas {
    /// Starts everything, and waits until each replica has subscribed and knows each consumer.
    ///
    /// # Errors
    /// When anything cannot be started or is not ready in time.
    pub async fn start(options: ReplicaOptions<'_>) -> Result<Self> {
        let redis = PrivateRedis::start(options.redis_args).await?;
        let mut groups = Vec::new();
        for _ in 0..options.groups {
            groups.push(services::group(&redis, options.group_args).await?);
        }
        let mut consumers = Vec::new();
        for _ in 0..options.consumers {
            let consumer = services::consumer(&redis, &groups[0], options.consumer_args).await?;
            for group in &groups {
                wait_until_joined(group, &id_of(&consumer)?).await?;
            }
            consumers.push(consumer);
        }
        Ok(Self {
            consumers,
            groups,
            redis,
        })
    }

    /// Their Redis as publisher and onlooker see it.
    #[must_use]
    pub fn bus(&self) -> Bus {
        Bus::of(&self.redis)
    }

    /// Looks at the accounts of all replicas.
    #[must_use]
    pub fn audit(&self) -> Auditor {
        Auditor::of(&self.groups.iter().collect::<Vec<_>>())
    }
}

/// Waits until everything heard has ended in one of the two streams and has left the queue, and
/// checks that no message ended twice.
///
/// # Errors
/// When it is not so.
pub async fn wait_until_each_ended_once(bus: &Bus, ledger: &Ledger) -> Result<Account> {
    let account = ledger.wait_until_settled(bus).await?;
    wait_until("the queue to be empty", PATIENCE, async || {
        Ok(bus.queue_length().await? == 0)
    })
    .await?;
    let (processed, failed) = (bus.processed().await?, bus.failed().await?);
    let both: Vec<_> = account.processed.intersection(&account.failed).collect();
    ensure!(both.is_empty(), "processed and failed: {both:?}");
    ensure!(
        processed.len() == account.processed.len(),
        "processed twice: {:?}",
        bus::repeated(&processed)?
    );
    ensure!(
        failed.len() == account.failed.len(),
        "failed twice: {:?}",
        bus::repeated(&failed)?
    );
    Ok(account)
}

/// The same, where nothing may have failed.
///
/// # Errors
/// When it is not so.
pub async fn wait_until_each_is_processed_once(bus: &Bus, ledger: &Ledger) -> Result<()> {
    let Account { failed, .. } = wait_until_each_ended_once(bus, ledger).await?;
    ensure!(failed.is_empty(), "failed: {failed:?}");
    Ok(())
}
