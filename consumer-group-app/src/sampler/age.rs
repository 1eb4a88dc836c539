//! How long the oldest message of a queue in memory has waited, without a clock in every message.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use crate::history::POINTS;

/// How many messages had arrived when, for as long as the history goes back.
#[derive(Debug, Default)]
pub(super) struct Arrivals(VecDeque<(Instant, u64)>);

impl Arrivals {
    /// So many have arrived by now.
    pub(super) fn note(&mut self, at: Instant, received: u64) {
        if self.0.len() == POINTS {
            self.0.pop_front();
        }
        self.0.push_back((at, received));
    }

    /// About how long the oldest of the `queued` messages has waited: those that wait are the ones that
    /// came last. Known to the second, and no more than the time that is remembered; `None` while that
    /// is nothing.
    pub(super) fn age(&self, received: u64, queued: u64) -> Option<Duration> {
        let (now, _) = self.0.back()?;
        if queued == 0 {
            return Some(Duration::ZERO);
        }
        let taken = received.saturating_sub(queued);
        let before = self.0.iter().rev().find(|(_, then)| *then <= taken);
        let (at, _) = before.or_else(|| self.0.front())?;
        Some(*now - *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_came_when_as_many_had_come_as_have_been_taken() {
        let (mut arrivals, start) = (Arrivals::default(), Instant::now());
        assert_eq!(arrivals.age(0, 0), None);
        let seconds = Duration::from_secs;
        for (second, received) in [(0, 10), (1, 20), (2, 30), (3, 40)] {
            arrivals.note(start + seconds(second), received);
        }
        assert_eq!(arrivals.age(40, 0), Some(Duration::ZERO));
        assert_eq!(arrivals.age(40, 5), Some(seconds(1)));
        assert_eq!(arrivals.age(40, 20), Some(seconds(2)));
        assert_eq!(arrivals.age(40, 40), Some(seconds(3)), "as far as it knows");
    }
}
