//! What was published, and how many subscribers Redis said it reached.

use std::time::Duration;

use indicatif::HumanCount;

use crate::{output::tell, progress};

/// The account so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Account {
    /// Messages that Redis has confirmed.
    pub published: u64,
    /// Of these, how many reached nobody.
    pub reached_none: u64,
    /// The fewest and the most subscribers a message reached, once there was one.
    pub subscribers: Option<(u64, u64)>,
    /// From the first message to the last confirmation.
    pub elapsed: Duration,
}

impl Account {
    /// Adds what Redis answered to a batch: for each message, how many subscribers it reached.
    pub(crate) fn add(&mut self, reached: &[u64], elapsed: Duration) {
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

    /// The closing account.
    #[expect(
        clippy::print_stdout,
        reason = "the account is what this program is asked for"
    )]
    pub(crate) fn tell(&self) {
        println!(
            "published {} messages in {:.3} s ({}/s)",
            HumanCount(self.published),
            self.elapsed.as_secs_f64(),
            HumanCount(self.rate())
        );
        if let Some((fewest, most)) = self.subscribers {
            println!(
                "subscribers each message reached: {fewest} to {most}; messages that reached none: {}",
                HumanCount(self.reached_none)
            );
        }
        if self.reached_none > 0 {
            tell(&format!(
                "warning: for {} messages nobody was subscribed: these messages are gone; is \
                 consumer-group-app running?",
                HumanCount(self.reached_none)
            ));
        }
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
            reached_none: 1,
            subscribers: Some((0, 2)),
            elapsed: Duration::from_secs(2),
        };
        assert_eq!(account, expected);
        assert_eq!(account.rate(), 2);
    }
}
