//! Fingerprints in the order in which they came.

use std::collections::VecDeque;

use super::index_of;
use crate::Fingerprint;

/// How many fingerprints there are in a block: 16 KiB. It divides 2³², so that positions may start over.
pub(super) const BLOCK: u32 = 1024;

/// A queue of fingerprints, each with a position: a number that grows by one and starts over after
/// [`u32::MAX`].
///
/// Memory comes and goes a block at a time, so that nothing is ever copied.
#[derive(Default)]
pub(super) struct Ring {
    blocks: VecDeque<Vec<Fingerprint>>,
    /// The position of the oldest.
    first: u32,
    len: u32,
}

impl Ring {
    /// An empty one whose positions start at the beginning of the last block before they start over.
    #[cfg(test)]
    pub(super) fn about_to_start_over() -> Self {
        Self {
            first: 0_u32.wrapping_sub(BLOCK),
            ..Self::default()
        }
    }

    pub(super) fn len(&self) -> u32 {
        self.len
    }

    /// Adds one and answers its position. There must be room.
    pub(super) fn push(&mut self, fingerprint: Fingerprint) -> u32 {
        let position = self.first.wrapping_add(self.len);
        match self.blocks.back_mut() {
            Some(block) if !position.is_multiple_of(BLOCK) => block.push(fingerprint),
            _ => {
                let mut block = Vec::with_capacity(index_of(BLOCK));
                block.push(fingerprint);
                self.blocks.push_back(block);
            }
        }
        self.len += 1;
        position
    }

    /// How many are older than the one at this position.
    pub(super) fn age_rank(&self, position: u32) -> u32 {
        position.wrapping_sub(self.first)
    }

    pub(super) fn get(&self, position: u32) -> Option<&Fingerprint> {
        let place = index_of(self.first % BLOCK) + index_of(self.age_rank(position));
        let block = self.blocks.get(place / index_of(BLOCK))?;
        block.get(place % index_of(BLOCK))
    }

    /// The oldest, with its position.
    pub(super) fn oldest(&self) -> Option<(u32, Fingerprint)> {
        self.get(self.first)
            .map(|fingerprint| (self.first, *fingerprint))
    }

    /// Drops the oldest.
    pub(super) fn pop(&mut self) {
        if self.len == 0 {
            return;
        }
        self.first = self.first.wrapping_add(1);
        self.len -= 1;
        // An empty ring keeps a block that is not full: the next position goes on in it.
        if self.first.is_multiple_of(BLOCK) {
            self.blocks.pop_front();
            if self.blocks.capacity() > 4 * self.blocks.len() {
                self.blocks.shrink_to(2 * self.blocks.len());
            }
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.blocks.capacity() * size_of::<Vec<Fingerprint>>()
            + self.blocks.len() * index_of(BLOCK) * size_of::<Fingerprint>()
    }
}
