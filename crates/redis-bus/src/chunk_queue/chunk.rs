//! A chunk: some messages that stand in the queue as one entry.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use protocol::ChunkId;

/// The most messages that are made one chunk of.
///
/// There may be 512; but with more than 504 their fingerprints would take Redis 10 KiB instead of 8, since that is
/// how its allocator rounds up: 21.0 bytes an id instead of 17.3.
pub const MOST_MESSAGES: usize = 504;

/// The most bytes of a chunk, unless a single message is larger: Redis does nothing else while it takes one
/// in.
pub const MAX_BYTES: usize = 1 << 20;

/// What stands before each message in an entry: its length in bytes, big-endian.
const LENGTH_BYTES: usize = size_of::<u32>();

/// How many of the messages at the front fit into one chunk: at least one, if there is one.
#[must_use]
pub fn fitting<'a>(messages: impl IntoIterator<Item = &'a Bytes>) -> usize {
    let mut bytes = 0_usize;
    let sizes = messages.into_iter().take(MOST_MESSAGES).map(|message| {
        bytes += LENGTH_BYTES + message.len();
        bytes
    });
    sizes
        .enumerate()
        .take_while(|(place, bytes)| *place == 0 || *bytes <= MAX_BYTES)
        .count()
}

/// Messages as an entry holds them: each with its length in front.
pub(super) fn framed(messages: &[Bytes]) -> Bytes {
    let bytes = messages.iter().map(|message| LENGTH_BYTES + message.len());
    let mut framed = BytesMut::with_capacity(bytes.sum());
    for message in messages {
        // A longer message is not heard: Redis takes 512 MB at the most.
        framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
        framed.put_slice(message);
    }
    framed.freeze()
}

/// The messages of an entry, without copying them. An entry that is no chunk, as whoever writes to the
/// stream by hand makes it, has its bytes for its first message, and for all others none: as messages they
/// are malformed.
pub(super) fn unframed(id: ChunkId, framed: Bytes) -> Vec<Bytes> {
    let count = id.messages();
    split(framed.clone(), count).unwrap_or_else(|| {
        let mut messages = vec![Bytes::new(); count];
        messages[0] = framed;
        messages
    })
}

/// So many messages, if there are just so many.
fn split(mut framed: Bytes, count: usize) -> Option<Vec<Bytes>> {
    let mut messages = Vec::with_capacity(count);
    for _ in 0..count {
        let length = usize::try_from(framed.try_get_u32().ok()?).ok()?;
        if length > framed.len() {
            return None;
        }
        messages.push(framed.split_to(length));
    }
    framed.is_empty().then_some(messages)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(messages: u64) -> ChunkId {
        format!("1700000000000-{}", 77 * 512 + messages - 1)
            .parse()
            .unwrap()
    }

    fn messages(texts: &[&'static str]) -> Vec<Bytes> {
        texts.iter().copied().map(Bytes::from).collect()
    }

    #[test]
    fn what_is_framed_comes_out_as_it_was() {
        for texts in [&["a"][..], &["", "b", "", "\0\u{ff}"], &[""]] {
            let messages = messages(texts);
            let id = id(u64::try_from(messages.len()).unwrap());
            assert_eq!(unframed(id, framed(&messages)), messages);
        }
    }

    #[test]
    fn an_entry_that_is_no_chunk_is_as_many_malformed_messages_as_its_id_says() {
        for entry in ["", "abc", "\0\0\0\x09x", "\0\0\0\x01ab"] {
            let entry = Bytes::from(entry);
            assert_eq!(unframed(id(1), entry.clone()), [entry]);
        }
        let two = framed(&messages(&["a", "b"]));
        assert_eq!(
            unframed(id(3), two.clone()),
            [two, Bytes::new(), Bytes::new()]
        );
    }

    #[test]
    fn a_chunk_is_bounded_in_messages_and_bytes_and_holds_at_least_one() {
        let sized = |sizes: &[usize]| -> Vec<_> {
            sizes
                .iter()
                .map(|size| Bytes::from(vec![b'x'; *size]))
                .collect()
        };
        assert_eq!(fitting(&sized(&[])), 0);
        assert_eq!(fitting(&sized(&[1; 600])), MOST_MESSAGES);
        assert_eq!(fitting(&sized(&[MAX_BYTES / 2 - 4; 3])), 2);
        assert_eq!(fitting(&sized(&[MAX_BYTES / 2; 3])), 1);
        assert_eq!(fitting(&sized(&[2 * MAX_BYTES, 1])), 1);
    }
}
