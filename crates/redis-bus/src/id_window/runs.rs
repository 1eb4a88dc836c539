//! How many ids came in which second.

use std::collections::VecDeque;

const MILLIS_PER_SECOND: u64 = 1000;

/// The ids of one second.
struct Run {
    /// Since the Unix epoch: until the year 2106.
    second: u32,
    ids: u32,
}

/// The seconds in which ids came, in order.
#[derive(Default)]
pub(super) struct Runs(VecDeque<Run>);

impl Runs {
    /// Counts an id of this time.
    pub(super) fn add(&mut self, time_ms: u64) {
        let second = u32::try_from(time_ms / MILLIS_PER_SECOND).unwrap_or(u32::MAX);
        match self.0.back_mut() {
            Some(run) if second <= run.second => run.ids += 1,
            _ => {
                // Twice the room would be much where few ids come in a second.
                if self.0.len() == self.0.capacity() {
                    self.0.reserve_exact(16 + self.0.len() / 8);
                }
                self.0.push_back(Run { second, ids: 1 });
            }
        }
    }

    /// Drops the seconds that were over at this time; answers how many ids came in them.
    pub(super) fn take_before(&mut self, time_ms: u64) -> u32 {
        let mut ids = 0;
        let is_over = |run: &mut Run| u64::from(run.second) < time_ms / MILLIS_PER_SECOND;
        while let Some(run) = self.0.pop_front_if(is_over) {
            ids += run.ids;
        }
        if self.0.capacity() > 16 + 4 * self.0.len() {
            self.0.shrink_to(16 + 2 * self.0.len());
        }
        ids
    }

    /// Counts the oldest id no more; answers whether there was one.
    pub(super) fn take_one(&mut self) -> bool {
        let Some(run) = self.0.front_mut() else {
            return false;
        };
        run.ids -= 1;
        self.0.pop_front_if(|run| run.ids == 0);
        true
    }

    pub(super) fn bytes(&self) -> usize {
        self.0.capacity() * size_of::<Run>()
    }
}
