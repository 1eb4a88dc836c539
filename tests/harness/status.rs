//! `GET /status` of a group, and whether its account adds up whenever one looks.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use local_stack::{Service, wait_until};
use serde_json::Value;
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use crate::{PATIENCE, calls};

/// How often an auditor looks.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// What every received message is counted as, too.
const STATES: [&str; 6] = [
    "processed",
    "duplicate",
    "dead_lettered",
    "in_flight",
    "queued",
    "buffered",
];

/// The status of a group.
///
/// # Errors
/// When it is not told.
pub async fn status(group: &Service) -> Result<Value> {
    let answer = calls::get(group, "/status").await?;
    ensure!(answer.status == 200, "{answer:?}");
    Ok(answer.body)
}

/// Waits until all that `expected` names is so in the status of a group, whose account adds up
/// meanwhile.
///
/// # Errors
/// When it is not in time; the last status is in the error.
pub async fn wait_for_status(group: &Service, expected: &Value) -> Result<()> {
    let names = expected.as_object().context("expected is no object")?;
    let last = Mutex::new(Value::Null);
    let arrived = wait_until("the status", PATIENCE, async || {
        // Redis may be away, and the group with it.
        let Ok(status) = status(group).await else {
            return Ok(false);
        };
        ensure!(adds_up(&status), "{status} does not add up");
        let is_so = names.iter().all(|(name, value)| status[name] == *value);
        *last.lock().unwrap_or_else(PoisonError::into_inner) = status;
        Ok(is_so)
    });
    let arrived = arrived.await;
    let last = last.into_inner().unwrap_or_else(PoisonError::into_inner);
    arrived.with_context(|| format!("expected {expected}, it is {last}"))
}

/// Whether every received message is counted once.
#[must_use]
pub fn adds_up(status: &Value) -> bool {
    let counted = STATES.map(|state| status[state].as_u64());
    let sum: Option<u64> = counted.into_iter().sum();
    sum.is_some() && sum == status["received"].as_u64()
}

/// Looks at the status of groups again and again, until it is dropped.
#[derive(Debug)]
pub struct Auditor {
    books: Arc<Mutex<Books>>,
    _looking: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Books {
    looks: usize,
    /// The first account that did not add up.
    wrong: Option<Value>,
}

impl Auditor {
    /// Begins to look at these groups; one that does not answer is looked at later.
    #[must_use]
    pub fn of(groups: &[&Service]) -> Self {
        let books: Arc<Mutex<Books>> = Arc::default();
        let mut looking = JoinSet::new();
        for group in groups {
            looking.spawn(look(group.url("/status"), Arc::clone(&books)));
        }
        Self {
            books,
            _looking: looking,
        }
    }

    /// How often it has looked so far.
    ///
    /// # Errors
    /// When an account did not add up, or nothing was seen.
    pub fn looks(&self) -> Result<usize> {
        let books = lock(&self.books);
        if let Some(wrong) = &books.wrong {
            anyhow::bail!("after {} looks: {wrong} does not add up", books.looks);
        }
        ensure!(books.looks > 0, "no status was ever seen");
        Ok(books.looks)
    }
}

fn lock(books: &Mutex<Books>) -> MutexGuard<'_, Books> {
    books.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn look(url: String, books: Arc<Mutex<Books>>) {
    let mut beat = interval(LOOK_EVERY);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
        let Ok(answer) = calls::get_from(&url).await else {
            continue;
        };
        if answer.status != 200 {
            continue;
        }
        let mut books = lock(&books);
        books.looks += 1;
        if !adds_up(&answer.body) {
            books.wrong.get_or_insert(answer.body);
        }
    }
}
