//! How many retries the group allows itself.

use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

/// How many retries the budget holds when full.
const BUDGET_FULL: f64 = 100.0;

/// How many retries the budget regains each second, whatever happens.
const BUDGET_PER_SECOND: f64 = 10.0;

/// Keeps retries from becoming the load that keeps consumers down.
///
/// A retry takes a token; a delivery returns one, and ten come back each second. While everything fails
/// there are ten retries a second; once messages get through, each success allows another retry, so a
/// backlog goes as fast as consumers take it. An empty budget delays a retry and never drops it. After
/// Finagle's retry budget, with the bucket used as a window.
#[derive(Debug)]
pub(crate) struct RetryBudget(Mutex<Tokens>);

#[derive(Debug)]
struct Tokens {
    count: f64,
    /// How many were ever taken.
    taken: u64,
    refilled: Instant,
}

impl RetryBudget {
    /// A full budget.
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Tokens {
            count: BUDGET_FULL,
            taken: 0,
            refilled: Instant::now(),
        }))
    }

    /// Takes a token, if there is one.
    pub(crate) fn take(&self) -> bool {
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let gained = now.duration_since(tokens.refilled).as_secs_f64() * BUDGET_PER_SECOND;
        tokens.refilled = now;
        tokens.count = (tokens.count + gained).min(BUDGET_FULL);
        if tokens.count < 1.0 {
            return false;
        }
        tokens.count -= 1.0;
        tokens.taken += 1;
        true
    }

    /// How many retries there have been, and how many more there might be at once.
    pub(crate) fn read(&self) -> (u64, f64) {
        let tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let gained = tokens.refilled.elapsed().as_secs_f64() * BUDGET_PER_SECOND;
        (tokens.taken, (tokens.count + gained).min(BUDGET_FULL))
    }

    /// Returns a token for each message that was delivered.
    pub(crate) fn deposit(&self, delivered: usize) {
        let delivered = u32::try_from(delivered).map_or(BUDGET_FULL, f64::from);
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.count = (tokens.count + delivered).min(BUDGET_FULL);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

    use super::*;

    fn takes(budget: &RetryBudget) -> usize {
        (0..1000).take_while(|_| budget.take()).count()
    }

    #[tokio::test(start_paused = true)]
    async fn while_all_fails_the_budget_allows_ten_retries_a_second() {
        let budget = RetryBudget::new();
        assert_eq!(takes(&budget), 100);
        advance(Duration::from_secs(1)).await;
        assert_eq!(takes(&budget), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn each_success_allows_another_retry() {
        let budget = RetryBudget::new();
        takes(&budget);
        (0..7).for_each(|_| budget.deposit(1));
        assert_eq!(takes(&budget), 7);
        (0..1000).for_each(|_| budget.deposit(1));
        assert_eq!(takes(&budget), 100, "never more than full");
    }
}
