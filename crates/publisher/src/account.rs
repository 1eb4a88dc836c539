//! What was published, and how many subscribers Redis said it reached.

use std::time::Duration;

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
        let micros = self.elapsed.as_micros().max(1);
        let rate = u128::from(self.published) * 1_000_000 / micros;
        u64::try_from(rate).unwrap_or(u64::MAX)
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
