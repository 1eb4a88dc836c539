//! Batches that a script can take at once, bounded in number and in bytes.

/// The most items of a chunk: a look-up passes that many ids on Lua's stack.
const ITEMS: usize = 512;

/// The most bytes of a chunk, unless a single item is larger: Redis does nothing else meanwhile.
const BYTES: usize = 4 << 20;

/// The items in chunks.
pub(crate) fn chunks<'a, T>(
    items: &'a [T],
    bytes: impl Fn(&T) -> usize + 'a,
) -> impl Iterator<Item = &'a [T]> {
    let mut rest = items;
    std::iter::from_fn(move || {
        let mut taken = 0;
        let mut sum = 0;
        for item in rest.iter().take(ITEMS) {
            sum += bytes(item);
            if taken > 0 && sum > BYTES {
                break;
            }
            taken += 1;
        }
        let (chunk, left) = rest.split_at(taken);
        rest = left;
        (!chunk.is_empty()).then_some(chunk)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(items: &[usize]) -> Vec<usize> {
        chunks(items, |bytes| *bytes).map(<[usize]>::len).collect()
    }

    #[test]
    fn chunks_are_bounded_in_number_and_in_bytes_and_leave_nothing_out() {
        assert_eq!(lengths(&[]), [0; 0]);
        assert_eq!(lengths(&[1; 1030]), [512, 512, 6]);
        assert_eq!(lengths(&[BYTES / 2; 5]), [2, 2, 1]);
        assert_eq!(lengths(&[1, BYTES * 3, 1]), [1, 1, 1]);
    }
}
