//! How many attempts may be under way to one consumer.

use std::time::Duration;

/// Where the limit starts, unless the operator's is lower.
const START: f64 = 16.0;

/// Follows what a consumer can take: additive increase, multiplicative decrease (Chiu and Jain, 1989).
///
/// Answers that take more than half of the attempt's time-out lower the limit a little, before any
/// times out; a time-out halves it; quick answers while the limit is in use raise it.
#[derive(Debug)]
pub(crate) struct ConcurrencyLimit {
    limit: f64,
    most: f64,
    slow: Duration,
}

impl ConcurrencyLimit {
    pub(crate) fn new(most: u16, attempt_timeout: Duration) -> Self {
        let most = f64::from(most);
        Self {
            limit: START.min(most),
            most,
            slow: attempt_timeout / 2,
        }
    }

    /// Whether one more attempt may start beside those under way.
    pub(crate) fn allows(&self, under_way: usize) -> bool {
        u32::try_from(under_way).is_ok_and(|under_way| f64::from(under_way) < self.limit.floor())
    }

    /// Notes an answer: how long it took, and whether the limit kept others waiting.
    pub(crate) fn answered(&mut self, took: Duration, was_in_use: bool) {
        if took > self.slow {
            self.limit = (self.limit - 1.0).max(1.0);
        } else if was_in_use {
            self.limit = (self.limit + 1.0 / self.limit).min(self.most);
        }
    }

    /// Notes that an attempt timed out.
    pub(crate) fn timed_out(&mut self) {
        self.limit = (self.limit / 2.0).max(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Duration = Duration::from_millis(1);

    fn current(limit: &ConcurrencyLimit) -> usize {
        (0..1000)
            .take_while(|under_way| limit.allows(*under_way))
            .count()
    }

    #[test]
    fn it_grows_with_quick_answers_up_to_the_operators_limit() {
        let mut limit = ConcurrencyLimit::new(64, Duration::from_secs(5));
        assert_eq!(current(&limit), 16);
        (0..1000).for_each(|_| limit.answered(QUICK, false));
        assert_eq!(current(&limit), 16, "an unused limit says nothing");
        (0..5000).for_each(|_| limit.answered(QUICK, true));
        assert_eq!(current(&limit), 64);
    }

    #[test]
    fn it_shrinks_before_answers_time_out_and_never_below_one() {
        let mut limit = ConcurrencyLimit::new(64, Duration::from_secs(5));
        limit.answered(Duration::from_secs(3), true);
        assert_eq!(current(&limit), 15);
        limit.timed_out();
        assert_eq!(current(&limit), 7);
        (0..100).for_each(|_| limit.timed_out());
        assert_eq!(current(&limit), 1);
    }

    #[test]
    fn an_operators_limit_below_the_start_is_kept() {
        assert_eq!(
            current(&ConcurrencyLimit::new(3, Duration::from_secs(5))),
            3
        );
    }
}
