//! What was found to be wrong.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::output::{count, warn};

/// How many examples are kept of each.
pub(super) const EXAMPLES: usize = 20;

/// A handle on what was found; clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Findings(Arc<Mutex<BTreeMap<String, Found>>>);

/// How often something was found, with the first examples.
#[derive(Debug, Default)]
struct Found {
    times: u64,
    examples: Vec<String>,
}

impl Findings {
    pub(super) fn add(&self, what: &str, example: String) {
        let mut all = self.all();
        let found = all.entry(what.to_owned()).or_default();
        found.times += 1;
        if found.examples.len() < EXAMPLES {
            found.examples.push(example);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all().is_empty()
    }

    /// Shows all of it.
    pub(super) fn show(&self) {
        for (what, found) in self.all().iter() {
            warn(&format!("  {what} ({}x)", count(found.times)));
            for example in &found.examples {
                warn(&format!("    {example}"));
            }
        }
    }

    /// How often something was found.
    #[cfg(test)]
    pub(super) fn times(&self, what: &str) -> u64 {
        self.all().get(what).map_or(0, |found| found.times)
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Found>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
