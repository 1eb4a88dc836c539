//! Which messages of a chunk.

use std::ops::{BitAnd, BitOr, Not};

use protocol::position::MAX_MESSAGES;

/// The bits of a `u64`.
const WORD_BITS: usize = 64;

/// A set of indices in a chunk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Indices([u64; MAX_MESSAGES / WORD_BITS]);

impl Indices {
    /// All indices of a chunk of so many messages.
    #[must_use]
    pub fn all(messages: usize) -> Self {
        (0..messages).collect()
    }

    /// Adds an index; what no chunk has is left out.
    pub fn insert(&mut self, index: usize) {
        if let Some(word) = self.0.get_mut(index / WORD_BITS) {
            *word |= 1 << (index % WORD_BITS);
        }
    }

    /// Whether an index is in it.
    #[must_use]
    pub fn contains(&self, index: usize) -> bool {
        let word = self.0.get(index / WORD_BITS);
        word.is_some_and(|word| word & 1 << (index % WORD_BITS) != 0)
    }

    /// How many indices are in it.
    #[must_use]
    pub fn len(&self) -> usize {
        let ones = self.0.iter().map(|word| word.count_ones());
        usize::try_from(ones.sum::<u32>()).unwrap_or(MAX_MESSAGES)
    }

    /// Whether none is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0 == [0; _]
    }

    /// The indices, in order.
    pub fn iter(&self) -> impl Iterator<Item = usize> {
        (0..MAX_MESSAGES).filter(|index| self.contains(*index))
    }

    /// As scripts take it for a chunk of so many messages: index 0 is the lowest bit of the first byte, and
    /// there are as many bytes as it needs.
    pub(super) fn to_bytes(self, messages: usize) -> Vec<u8> {
        let mut bytes: Vec<_> = self.0.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.truncate(messages.div_ceil(8));
        bytes
    }

    /// From the bytes that scripts keep.
    pub(super) fn from_bytes(bytes: &[u8]) -> Self {
        let mut indices = Self::default();
        for (word, bytes) in indices.0.iter_mut().zip(bytes.chunks(size_of::<u64>())) {
            let mut whole = [0; size_of::<u64>()];
            whole[..bytes.len()].copy_from_slice(bytes);
            *word = u64::from_le_bytes(whole);
        }
        indices
    }
}

impl FromIterator<usize> for Indices {
    fn from_iter<I: IntoIterator<Item = usize>>(indices: I) -> Self {
        let mut set = Self::default();
        indices.into_iter().for_each(|index| set.insert(index));
        set
    }
}

impl BitOr for Indices {
    type Output = Self;

    fn bitor(mut self, other: Self) -> Self {
        self.0
            .iter_mut()
            .zip(other.0)
            .for_each(|(word, other)| *word |= other);
        self
    }
}

impl BitAnd for Indices {
    type Output = Self;

    fn bitand(mut self, other: Self) -> Self {
        self.0
            .iter_mut()
            .zip(other.0)
            .for_each(|(word, other)| *word &= other);
        self
    }
}

impl Not for Indices {
    type Output = Self;

    fn not(self) -> Self {
        Self(self.0.map(Not::not))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_what_was_inserted_and_goes_to_bytes_and_back() {
        let set: Indices = [0, 7, 8, 63, 64, 511, 512, usize::MAX]
            .into_iter()
            .collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 7, 8, 63, 64, 511]);
        assert_eq!(set.len(), 6);
        assert_eq!(Indices::from_bytes(&set.to_bytes(512)), set);
        let small: Indices = [0, 8].into_iter().collect();
        assert_eq!(small.to_bytes(9), [1, 1]);
        assert_eq!(Indices::from_bytes(&[1, 1]), small);
        assert_eq!(Indices::all(9).to_bytes(9), [255, 1]);
        assert!(Indices::from_bytes(&[]).is_empty());
    }

    #[test]
    fn sets_are_joined_and_cut() {
        let (all, some) = (Indices::all(100), Indices::all(70));
        assert_eq!((all & !some).len(), 30);
        assert_eq!(all | some, all);
        assert_eq!(all & some, some);
    }
}
