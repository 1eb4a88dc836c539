//! The window of fingerprints that a replica keeps in memory.
//!
//! A replica reads the id log ([`LogPage`](crate::chunk_queue::LogPage)) and remembers it here, so that it
//! knows a duplicate without asking Redis. 10 million ids take some 230 MB.
//!
//! Three parts, in the order data travels: a ring holds the fingerprints as they came, runs say how many of
//! them came in which second, and an index finds a fingerprint's place in the ring.

mod index;
mod ring;
mod runs;

#[cfg(test)]
mod tests;

use std::fmt;

use self::{index::Index, ring::Ring, runs::Runs};
use crate::Fingerprint;

/// How much of what is forgotten one call of [`IdWindow::forget_before`] clears away: some milliseconds of
/// work.
const CLEARED_PER_CALL: u32 = 8192;

/// How much of what is forgotten is cleared away for each id that is added: it must not pile up.
const CLEARED_PER_ID: u32 = 2;

/// Remembers fingerprints in the order of the id log, each with the second of its log entry.
///
/// - It takes at most 24 bytes an id ([`Self::bytes`]), and some 100 KiB when it is empty.
/// - It holds at most [`u32::MAX`] ids; beyond that it forgets the oldest.
/// - An id that was added twice is known until the last of both is forgotten.
/// - No call but [`Self::clear`] takes longer the more is remembered, apart from the growth of one of the
///   2048 shards of the index.
///
/// It is a plain value: who shares it puts a lock around it.
pub struct IdWindow {
    ring: Ring,
    runs: Runs,
    index: Index,
    /// How many of the oldest in the ring are forgotten, but not yet cleared away.
    forgotten: u32,
    capacity: u32,
}

impl IdWindow {
    /// A window that remembers nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::with(u32::MAX, Ring::default())
    }

    fn with(capacity: u32, ring: Ring) -> Self {
        Self {
            ring,
            runs: Runs::default(),
            index: Index::new(),
            forgotten: 0,
            capacity,
        }
    }

    /// Whether an id is remembered. All 128 bits are compared.
    #[must_use]
    pub fn contains(&self, fingerprint: &Fingerprint) -> bool {
        self.index
            .find(fingerprint, &self.ring)
            .is_some_and(|position| self.ring.age_rank(position) >= self.forgotten)
    }

    /// Remembers the ids of a log entry of this time (milliseconds since the Unix epoch).
    ///
    /// Times must not go back; one that does counts as the latest there was.
    pub fn extend(&mut self, time_ms: u64, fingerprints: impl IntoIterator<Item = Fingerprint>) {
        for fingerprint in fingerprints {
            self.clear_away(CLEARED_PER_ID);
            if self.ring.len() == self.capacity && self.runs.take_one() {
                self.forgotten += 1;
                self.clear_away(1);
            }
            let position = self.ring.push(fingerprint);
            self.index.insert(&fingerprint, position, &self.ring);
            self.runs.add(time_ms);
        }
    }

    /// Forgets what is older than a time (milliseconds since the Unix epoch), up to a second late.
    ///
    /// What is forgotten is unknown at once. Its memory is given back little by little, by this call and the
    /// next ones of this and of [`Self::extend`].
    pub fn forget_before(&mut self, time_ms: u64) {
        self.forgotten += self.runs.take_before(time_ms);
        self.clear_away(CLEARED_PER_CALL);
    }

    /// Clears away some of what is forgotten.
    fn clear_away(&mut self, most: u32) {
        for _ in 0..most.min(self.forgotten) {
            // The index reads the ring, also what it is about to lose.
            if let Some((position, fingerprint)) = self.ring.oldest() {
                self.index.remove(&fingerprint, position, &self.ring);
                self.ring.pop();
            }
            self.forgotten -= 1;
        }
    }

    /// How many ids are remembered; one that was added twice counts twice.
    #[must_use]
    pub fn len(&self) -> usize {
        index_of(self.ring.len() - self.forgotten)
    }

    /// Whether nothing is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets everything, and gives all memory back at once.
    pub fn clear(&mut self) {
        *self = Self::with(self.capacity, Ring::default());
    }

    /// How much memory is taken, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.ring.bytes() + self.runs.bytes() + self.index.bytes()
    }
}

impl Default for IdWindow {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for IdWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdWindow")
            .field("len", &self.len())
            .field("bytes", &self.bytes())
            .finish_non_exhaustive()
    }
}

/// A place or a count, as slices want it.
fn index_of(number: u32) -> usize {
    // Where that does not hold, memory ends long before.
    usize::try_from(number).unwrap_or(usize::MAX)
}
