//! What was published, and whether all of it arrived.

mod balance;

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Result, bail, ensure};
use local_stack::wait_until;
use tokio::time::{MissedTickBehavior, interval};

use crate::{Bus, PATIENCE, bus};

/// How often a steady publisher publishes.
const BEAT: Duration = Duration::from_millis(20);

/// Publishes messages with numbers for ids, and keeps book.
///
/// The promise it checks: what Redis delivered to a subscriber is in the stream of processed messages
/// or in that of dead letters. What had no subscriber, or what Redis did not answer for, may be lost.
#[derive(Debug, Default)]
pub struct Ledger {
    /// `PUBLISH` answered that there was a subscriber.
    heard: BTreeSet<String>,
    /// `PUBLISH` answered that there was none.
    unheard: BTreeSet<String>,
    /// Redis did not answer.
    unanswered: BTreeSet<String>,
    /// There was a subscriber for Redis, but it may not have been reached.
    excused: BTreeSet<String>,
    published: usize,
}

/// Where the published ended, each id once.
#[derive(Debug)]
pub struct Account {
    /// In the stream of processed messages.
    pub processed: BTreeSet<String>,
    /// In the stream of dead letters.
    pub failed: BTreeSet<String>,
}

impl Ledger {
    /// How many messages a subscriber heard.
    #[must_use]
    pub fn heard(&self) -> usize {
        self.heard.len()
    }

    /// Publishes in one go, whether or not anybody hears.
    pub async fn publish(&mut self, bus: &Bus, count: usize) {
        let ids: Vec<_> = (self.published..)
            .take(count)
            .map(|n| n.to_string())
            .collect();
        self.published += count;
        let heard = bus.publish_ids(&ids).await.unwrap_or_default();
        let mut heard = heard.into_iter();
        for id in ids {
            self.note(id, heard.next());
        }
    }

    /// Publishes messages of some size, one by one.
    pub async fn publish_large(&mut self, bus: &Bus, count: usize, bytes: usize) {
        let padding = "x".repeat(bytes);
        for _ in 0..count {
            let id = self.published.to_string();
            self.published += 1;
            let message = serde_json::json!({ "message_id": id, "padding": padding });
            let heard = bus.publish(message.to_string()).await;
            self.note(id, heard.ok());
        }
    }

    fn note(&mut self, id: String, heard: Option<u64>) {
        match heard {
            Some(1..) => self.heard.insert(id),
            Some(0) => self.unheard.insert(id),
            None => self.unanswered.insert(id),
        };
    }

    /// Publishes at a steady rate, whether or not anybody hears.
    pub async fn publish_steadily(&mut self, bus: &Bus, count: usize, a_second: usize) {
        let each = (a_second / 50).max(1);
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let end = self.published + count;
        while self.published < end {
            beat.tick().await;
            self.publish(bus, each.min(end - self.published)).await;
        }
    }

    /// Waits until a message gets through: publishes one after the other until one is processed.
    ///
    /// # Errors
    /// When none is within the time.
    pub async fn wait_until_it_works(&mut self, bus: &Bus, within: Duration) -> Result<()> {
        let first = self.published;
        let ledger = tokio::sync::Mutex::new(self);
        wait_until("a message to get through", within, async || {
            ledger.lock().await.publish(bus, 1).await;
            tokio::time::sleep(BEAT).await;
            let processed = bus.processed().await.unwrap_or_default();
            let ids = bus::ids(&processed)?;
            let is_new = |id: &String| id.parse::<usize>().is_ok_and(|id| id >= first);
            Ok(ids.iter().any(is_new))
        })
        .await
    }

    /// Waits until everything heard is in one of the two streams, however long it takes, as long as it goes on.
    ///
    /// # Errors
    /// When nothing more ends for a while, or a stream holds what was never published.
    pub async fn wait_until_settled(&self, bus: &Bus) -> Result<Account> {
        let mut before = None;
        loop {
            let missing = self.missing(bus).await?;
            if missing.is_empty() {
                break;
            }
            if before == Some(missing.len()) {
                let some: Vec<_> = missing.iter().take(20).collect();
                bail!(
                    "of {} messages that were heard {} are missing, and none has ended for {PATIENCE:?}: {some:?}…",
                    self.heard(),
                    missing.len()
                );
            }
            before = Some(missing.len());
            let less = "a message that was heard to end somewhere";
            // In vain: the next round tells what is missing.
            let _outcome = wait_until(less, PATIENCE, async || {
                Ok(self.missing(bus).await?.len() < missing.len())
            })
            .await;
        }
        let account = account(bus).await?;
        let ended = account.processed.union(&account.failed);
        let strange: Vec<_> = ended
            .filter(|id| {
                !id.parse()
                    .is_ok_and(|number: usize| number < self.published)
            })
            .collect();
        ensure!(strange.is_empty(), "{strange:?} were never published");
        Ok(account)
    }

    async fn missing(&self, bus: &Bus) -> Result<BTreeSet<String>> {
        let Account { processed, failed } = account(bus).await?;
        let missing = self.heard.difference(&processed);
        Ok(missing
            .filter(|id| !failed.contains(*id))
            .cloned()
            .collect())
    }
}

async fn account(bus: &Bus) -> Result<Account> {
    let processed = bus::ids(&bus.processed().await?)?;
    let failed = bus::ids(&bus.failed().await?)?;
    Ok(Account {
        processed: processed.into_iter().collect(),
        failed: failed.into_iter().collect(),
    })
}
