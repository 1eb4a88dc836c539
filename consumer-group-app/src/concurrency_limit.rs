//! How many messages may be under way to one consumer.

use std::time::Duration;

/// Where the limit starts, unless the most is lower.
pub(crate) const START: usize = 16;

/// An answer within this time is never slow.
const QUICK: Duration = Duration::from_millis(100);

/// What a slow answer leaves of the limit, and what a failure does.
const AFTER_SLOW: f64 = 0.9;
const AFTER_FAILURE: f64 = 0.5;

/// How much a new measurement of the consumer's own time counts.
const NEWER: f64 = 0.3;

/// Follows what a consumer can take: additive increase, multiplicative decrease (Chiu and Jain, 1989),
/// after a slow start (RFC 5681, 3.1).
///
/// Answers that come in time raise the limit while it is in use: twofold with each round at the start,
/// by one message with each round later. An answer is slow when it takes more than twice as long as the
/// consumer needs with nothing else to do, for then messages wait there that could wait here, or go
/// elsewhere; and always when it takes three quarters of what an attempt may take.
#[derive(Debug)]
pub(crate) struct ConcurrencyLimit {
    limit: f64,
    most: f64,
    is_starting: bool,
    /// How long the consumer takes with nothing else to do, in seconds, as far as that has been seen.
    own_time: Option<f64>,
    longest: f64,
}

/// A request that was answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answered {
    /// How many messages it carried.
    pub(crate) messages: usize,
    /// How long the answer took.
    pub(crate) took: Duration,
    /// Whether nothing else was under way when it was sent.
    pub(crate) was_alone: bool,
    /// Whether the limit kept others waiting.
    pub(crate) limit_was_in_use: bool,
}

impl ConcurrencyLimit {
    pub(crate) fn new(most: usize, attempt_timeout: Duration) -> Self {
        let mut limit = Self {
            limit: 0.0,
            most: 0.0,
            is_starting: true,
            own_time: None,
            longest: attempt_timeout.as_secs_f64() * 0.75,
        };
        limit.set_most(most);
        limit.start_anew();
        limit
    }

    /// How many messages may be under way: at least one.
    pub(crate) fn get(&self) -> usize {
        whole(self.limit)
    }

    /// Changes what it may grow to.
    pub(crate) fn set_most(&mut self, most: usize) {
        self.most = float(most).max(1.0);
        self.limit = self.limit.clamp(1.0, self.most);
    }

    /// The consumer is new, or was away.
    pub(crate) fn start_anew(&mut self) {
        self.limit = float(START).min(self.most);
        self.is_starting = true;
        self.own_time = None;
    }

    /// Notes an answer.
    pub(crate) fn answered(&mut self, answered: Answered) {
        let took = answered.took.as_secs_f64();
        let own_time = match self.own_time {
            // The consumer may have become slower for good.
            Some(own) if answered.was_alone && answered.messages == 1 => own + (took - own) * NEWER,
            Some(own) => own.min(took),
            None => took,
        };
        self.own_time = Some(own_time);
        let slow = (2.0 * own_time).max(QUICK.as_secs_f64()).min(self.longest);
        if took > slow {
            self.shrink(AFTER_SLOW);
        } else if answered.limit_was_in_use {
            let messages = float(answered.messages);
            let more = if self.is_starting {
                messages
            } else {
                messages / self.limit
            };
            self.limit = (self.limit + more).min(self.most);
        }
    }

    /// Notes a request that was not answered in time, or whose answer says that it was too much.
    pub(crate) fn failed(&mut self) {
        self.shrink(AFTER_FAILURE);
    }

    fn shrink(&mut self, left: f64) {
        self.is_starting = false;
        self.limit = (self.limit * left).max(1.0);
    }
}

fn float(messages: usize) -> f64 {
    u32::try_from(messages).map_or(f64::from(u32::MAX), f64::from)
}

/// The whole messages of a limit, which is at least one.
#[expect(
    clippy::as_conversions,
    reason = "there is no other way from a float; it is between 1 and u32::MAX"
)]
fn whole(limit: f64) -> usize {
    limit as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(5);

    /// Answers of one message while the limit is in use.
    fn answer(limit: &mut ConcurrencyLimit, times: usize, took: Duration) {
        for _ in 0..times {
            let was_alone = limit.get() == 1;
            limit.answered(Answered {
                messages: 1,
                took,
                was_alone,
                limit_was_in_use: true,
            });
        }
    }

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn it_doubles_with_each_round_of_quick_answers_up_to_the_most() {
        let mut limit = ConcurrencyLimit::new(64, TIMEOUT);
        assert_eq!(limit.get(), 16);
        answer(&mut limit, 16, millis(1));
        assert_eq!(limit.get(), 32);
        answer(&mut limit, 1000, millis(1));
        assert_eq!(limit.get(), 64);
        limit.set_most(1024);
        answer(&mut limit, 64, millis(1));
        assert_eq!(limit.get(), 128);
    }

    #[test]
    fn an_unused_limit_says_nothing() {
        let mut limit = ConcurrencyLimit::new(64, TIMEOUT);
        for _ in 0..1000 {
            limit.answered(Answered {
                messages: 1,
                took: millis(1),
                was_alone: true,
                limit_was_in_use: false,
            });
        }
        assert_eq!(limit.get(), 16);
    }

    #[test]
    fn after_the_first_slow_answer_it_grows_by_one_a_round() {
        let mut limit = ConcurrencyLimit::new(1000, TIMEOUT);
        answer(&mut limit, 4, millis(10));
        assert_eq!(limit.get(), 20);
        answer(&mut limit, 1, millis(101));
        assert_eq!(limit.get(), 18);
        answer(&mut limit, 18, millis(10));
        assert_eq!(limit.get(), 18);
        answer(&mut limit, 1, millis(10));
        assert_eq!(limit.get(), 19);
    }

    #[test]
    fn a_consumer_that_takes_long_but_takes_many_is_given_many() {
        let mut limit = ConcurrencyLimit::new(64, TIMEOUT);
        answer(&mut limit, 1000, millis(3000));
        assert_eq!(limit.get(), 64);
        answer(&mut limit, 1000, millis(4000));
        assert_eq!(limit.get(), 1, "time-outs are near");
    }

    #[test]
    fn a_consumer_that_has_become_slower_for_good_is_measured_anew() {
        let mut limit = ConcurrencyLimit::new(64, TIMEOUT);
        answer(&mut limit, 100, millis(1));
        answer(&mut limit, 100, millis(1000));
        assert!(limit.get() > 1, "{limit:?}");
    }

    #[test]
    fn failures_halve_it_never_below_one() {
        let mut limit = ConcurrencyLimit::new(64, TIMEOUT);
        limit.failed();
        assert_eq!(limit.get(), 8);
        (0..100).for_each(|_| limit.failed());
        assert_eq!(limit.get(), 1);
        limit.start_anew();
        assert_eq!(limit.get(), 16);
    }

    #[test]
    fn a_most_below_the_start_is_kept() {
        assert_eq!(ConcurrencyLimit::new(3, TIMEOUT).get(), 3);
    }
}
