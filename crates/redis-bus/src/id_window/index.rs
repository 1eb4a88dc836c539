//! Where in the ring a fingerprint stands.

use super::ring::Ring;
use crate::Fingerprint;

/// How many shards there are: each grows by itself, so that no single call must move everything.
const SHARDS: usize = 2048;

/// The tag of a slot that is free.
const FREE: u8 = 0;

/// The bits of a tag that say how many steps it is from the fingerprint's home: one more than there are, or
/// all set if they are too many.
const STEPS: u8 = 0x0f;

/// Fewer slots than this are not worth saving.
const FEW: usize = 8;

/// Finds the last position of each fingerprint.
///
/// Fingerprints are bits of a hash already: some of their bytes choose the shard, others the slot in it, and
/// another tells those in neighbouring slots apart.
pub(super) struct Index(Box<[Shard]>);

impl Index {
    pub(super) fn new() -> Self {
        Self((0..SHARDS).map(|_| Shard::default()).collect())
    }

    /// The last position of a fingerprint.
    pub(super) fn find(&self, fingerprint: &Fingerprint, ring: &Ring) -> Option<u32> {
        let shard = &self.0[shard_of(fingerprint)];
        if shard.used == 0 {
            return None;
        }
        let is_same = |position| ring.get(position) == Some(fingerprint);
        let slot = shard.find(fingerprint, is_same).ok()?;
        Some(shard.positions[slot])
    }

    /// Takes note of a new position of a fingerprint, which is in the ring already.
    pub(super) fn insert(&mut self, fingerprint: &Fingerprint, position: u32, ring: &Ring) {
        self.0[shard_of(fingerprint)].insert(fingerprint, position, ring);
    }

    /// Forgets a position, unless the fingerprint has a later one. All that is in the index must be in the
    /// ring still.
    pub(super) fn remove(&mut self, fingerprint: &Fingerprint, position: u32, ring: &Ring) {
        let shard = &mut self.0[shard_of(fingerprint)];
        if shard.used == 0 {
            return;
        }
        if let Ok(slot) = shard.find(fingerprint, |other| other == position) {
            shard.remove(slot, ring);
        }
    }

    pub(super) fn bytes(&self) -> usize {
        let slots: usize = self.0.iter().map(|shard| shard.tags.len()).sum();
        SHARDS * size_of::<Shard>() + slots * (size_of::<u8>() + size_of::<u32>())
    }
}

fn shard_of(fingerprint: &Fingerprint) -> usize {
    let [first, second, ..] = *fingerprint.as_bytes();
    usize::from(u16::from_be_bytes([first, second])) % SHARDS
}

/// How far its home is from the first of the slots to the last: a fraction, so that any number of slots will do,
/// not only powers of two.
fn fraction_of(fingerprint: &Fingerprint) -> u32 {
    let [_, _, a, b, c, d, ..] = *fingerprint.as_bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// The tag of a fingerprint so many steps after its home: four bits of it, and the steps.
fn tag_of(fingerprint: &Fingerprint, steps: usize) -> u8 {
    let [.., last] = *fingerprint.as_bytes();
    (last & !STEPS) | steps_code(steps)
}

fn steps_code(steps: usize) -> u8 {
    u8::try_from(steps + 1).map_or(STEPS, |code| code.min(STEPS))
}

/// A hash table with linear probing.
///
/// A slot is a position and a tag, by which others are told apart without a look at the ring: at 10 million
/// ids each look there misses every cache. From 2/3 to 5/6 of the slots are in use: fewer would be too much memory, with more the search
/// gets long.
#[derive(Default)]
struct Shard {
    tags: Box<[u8]>,
    positions: Box<[u32]>,
    used: usize,
}

impl Shard {
    /// Where the search for a fingerprint starts.
    fn home(&self, fingerprint: &Fingerprint) -> usize {
        self.home_at(fraction_of(fingerprint))
    }

    fn home_at(&self, fraction: u32) -> usize {
        let slots = u64::try_from(self.tags.len()).unwrap_or_default();
        usize::try_from((u64::from(fraction) * slots) >> 32).unwrap_or_default()
    }

    fn after(&self, slot: usize) -> usize {
        if slot + 1 == self.tags.len() {
            0
        } else {
            slot + 1
        }
    }

    /// How many steps it is from one slot on to another.
    fn steps(&self, from: usize, to: usize) -> usize {
        if to >= from {
            to - from
        } else {
            to + self.tags.len() - from
        }
    }

    /// The slot of a fingerprint whose position is the right one; else the free one where the search ended.
    /// There must be slots.
    fn find(
        &self,
        fingerprint: &Fingerprint,
        is_right: impl Fn(u32) -> bool,
    ) -> Result<usize, usize> {
        let mut slot = self.home(fingerprint);
        let mut steps = 0;
        loop {
            let other = self.tags[slot];
            if other == tag_of(fingerprint, steps) && is_right(self.positions[slot]) {
                return Ok(slot);
            }
            if other == FREE {
                return Err(slot);
            }
            slot = self.after(slot);
            steps += 1;
        }
    }

    fn insert(&mut self, fingerprint: &Fingerprint, position: u32, ring: &Ring) {
        // At least one slot stays free: there a search ends.
        if 6 * (self.used + 1) > 5 * self.tags.len() {
            // By a fifth: 7/10 are in use then.
            self.resize(self.used + self.used * 3 / 7 + 4, ring);
        }
        match self.find(fingerprint, |other| ring.get(other) == Some(fingerprint)) {
            Ok(slot) => self.positions[slot] = position,
            Err(free) => {
                self.fill(free, fingerprint, position);
                self.used += 1;
            }
        }
    }

    fn fill(&mut self, free: usize, fingerprint: &Fingerprint, position: u32) {
        let steps = self.steps(self.home(fingerprint), free);
        self.tags[free] = tag_of(fingerprint, steps);
        self.positions[free] = position;
    }

    /// Frees a slot, and moves those after it that would not be found any more.
    fn remove(&mut self, slot: usize, ring: &Ring) {
        let mut free = slot;
        let mut next = self.after(slot);
        while self.tags[next] != FREE {
            let from_home = self.steps_from_home(next, ring);
            let from_free = self.steps(free, next);
            if from_home >= from_free {
                self.tags[free] = (self.tags[next] & !STEPS) | steps_code(from_home - from_free);
                self.positions[free] = self.positions[next];
                free = next;
            }
            next = self.after(next);
        }
        self.tags[free] = FREE;
        self.used -= 1;
        if 2 * self.tags.len() > 3 * self.used + FEW {
            self.resize(self.used + self.used / 3 + 2, ring);
        }
    }

    /// How many steps it is to a slot from the home of what is in it.
    fn steps_from_home(&self, slot: usize, ring: &Ring) -> usize {
        match self.tags[slot] & STEPS {
            STEPS => ring
                .get(self.positions[slot])
                .map_or(0, |other| self.steps(self.home(other), slot)),
            code => usize::from(code.saturating_sub(1)),
        }
    }

    /// Moves all into so many slots.
    fn resize(&mut self, slots: usize, ring: &Ring) {
        let tags = vec![FREE; slots].into_boxed_slice();
        let positions = vec![0; slots].into_boxed_slice();
        let old_tags = std::mem::replace(&mut self.tags, tags);
        let old_positions = std::mem::replace(&mut self.positions, positions);
        let used = old_tags.into_iter().zip(old_positions);
        let used = used.filter(|(tag, _)| *tag != FREE);
        // First all looks at the ring, each of which may miss every cache: so they wait side by side.
        let moved = used.filter_map(|(tag, position)| {
            let fraction = fraction_of(ring.get(position)?);
            Some((fraction, tag & !STEPS, position))
        });
        for (fraction, tag, position) in moved.collect::<Vec<_>>() {
            // All are different.
            let (mut slot, mut steps) = (self.home_at(fraction), 0);
            while self.tags[slot] != FREE {
                slot = self.after(slot);
                steps += 1;
            }
            self.tags[slot] = tag | steps_code(steps);
            self.positions[slot] = position;
        }
    }
}
