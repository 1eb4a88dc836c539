//! What was published, and how many subscribers Redis said it reached.

use std::time::Duration;

use anyhow::Result;
use indicatif::HumanCount;

use crate::{
    output::{note, say},
    progress,
};

/// The account so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Account {
    /// Messages that Redis has confirmed.
    pub published: u64,
    /// Messages that were sent, and not confirmed yet.
    pub under_way: u64,
    /// Of those that are confirmed, how many reached nobody.
    pub reached_none: u64,
    /// The fewest and the most subscribers a message reached, once there was one.
    pub subscribers: Option<(u64, u64)>,
    /// From the first message to the last confirmation.
    pub elapsed: Duration,
}

impl Account {
    /// Adds what Redis answered to a batch: for each message, how many subscribers it reached.
    pub(crate) fn add(&mut self, reached: &[u64], elapsed: Duration) {
        self.under_way = 0;
        for &count in reached {
            self.published += 1;
            self.reached_none += u64::from(count == 0);
            let (fewest, most) = self.subscribers.unwrap_or((count, count));
            self.subscribers = Some((fewest.min(count), most.max(count)));
        }
        self.elapsed = elapsed;
    }

    /// Messages a second, rounded down.
    pub(crate) fn rate(&self) -> u64 {
        progress::rate(self.published, self.elapsed)
    }

    /// The closing account. It is what this program is asked for.
    pub(crate) fn print(&self) -> Result<()> {
        if self.under_way > 0 {
            note(&format!(
                "warning: nobody waited for what became of {} more messages: any of them may be out, too",
                HumanCount(self.under_way)
            ));
        }
        if self.reached_none > 0 {
            note(&format!(
                "warning: for {} messages nobody was subscribed: these messages are gone; is \
                 consumer-group-app running?",
                HumanCount(self.reached_none)
            ));
        }
        say(&format!(
            "published {} messages in {:.3} s ({}/s)",
            HumanCount(self.published),
            self.elapsed.as_secs_f64(),
            HumanCount(self.rate())
        ))?;
        if let Some((fewest, most)) = self.subscribers {
            say(&format!(
                "subscribers each message reached: {fewest} to {most}; messages that reached none: {}",
                HumanCount(self.reached_none)
            ))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_add_up() {
        let mut account = Account::default();
        assert_eq!((account.rate(), account.subscribers), (0, None));
        account.add(&[1, 1, 2], Duration::from_secs(1));
        account.add(&[0, 1], Duration::from_secs(2));
        let expected = Account {
            published: 5,
            under_way: 0,
            reached_none: 1,
            subscribers: Some((0, 2)),
            elapsed: Duration::from_secs(2),
        };
        assert_eq!(account, expected);
        assert_eq!(account.rate(), 2);
    }
}
