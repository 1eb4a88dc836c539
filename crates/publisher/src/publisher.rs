//! Sends what is due until there is no more, or a signal comes.

use anyhow::{Context, Result};
use redis_bus::publish::PublishedChannel;
use service_kit::shutdown::Signals;
use tokio::time::{Instant, sleep_until};

use crate::{account::Account, pace::Pace, progress::Progress, source::Source};

/// How many messages go in one round trip.
const MAX_BATCH: usize = 512;

/// How publishing ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// There are no more messages.
    Finished,
    /// A signal came first.
    Interrupted,
}

/// Publishes the messages of a source at a pace, and keeps the account.
#[derive(Debug)]
pub(crate) struct Publisher {
    channel: PublishedChannel,
    source: Source,
    pace: Pace,
    signals: Signals,
    account: Account,
}

/// What one step came to.
enum Step {
    Published,
    Ended(Ended),
}

impl Publisher {
    pub(crate) fn new(
        channel: PublishedChannel,
        source: Source,
        pace: Pace,
        signals: Signals,
    ) -> Self {
        Self {
            channel,
            source,
            pace,
            signals,
            account: Account::default(),
        }
    }

    /// What has been published so far.
    pub(crate) fn account(&self) -> &Account {
        &self.account
    }

    /// Publishes until the end. Nothing is tried twice: a failure ends it.
    pub(crate) async fn run(&mut self, progress: &mut Progress) -> Result<Ended> {
        let started = Instant::now();
        loop {
            match self.step(started).await? {
                Step::Published => progress.show(self.account.published),
                Step::Ended(ended) => return Ok(ended),
            }
        }
    }

    async fn step(&mut self, started: Instant) -> Result<Step> {
        let sent = self.account.published;
        let due = match self.pace.due(started.elapsed(), sent) {
            0 => {
                let next = started + self.pace.next(started.elapsed(), sent);
                tokio::select! {
                    () = sleep_until(next) => {}
                    _ = self.signals.next() => return Ok(Step::Ended(Ended::Interrupted)),
                }
                self.pace.due(started.elapsed(), sent)
            }
            due => due,
        };
        let due = usize::try_from(due).map_or(MAX_BATCH, |due| due.min(MAX_BATCH));
        let batch = tokio::select! {
            // Made-up messages are always ready; the signal must come first.
            biased;
            _ = self.signals.next() => return Ok(Step::Ended(Ended::Interrupted)),
            batch = self.source.next_batch(due) => batch?,
        };
        if batch.is_empty() && due > 0 {
            return Ok(Step::Ended(Ended::Finished));
        }
        // Cut off by nothing but a second signal, so that the account knows what became of each message.
        self.account.under_way = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        let reached = self.channel.publish(&batch).await;
        let reached =
            reached.with_context(|| format!("publishing stopped after {sent} messages"))?;
        self.account.add(&reached, started.elapsed());
        Ok(Step::Published)
    }
}
