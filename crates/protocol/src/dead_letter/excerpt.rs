//! The start of a payload, its length, and a hash of the whole.

use bytes::Bytes;

/// How much of a payload that is not a message is kept, in bytes.
pub const KEPT_UNFIT_BYTES: usize = 1024;

/// What the bytes of an [`Excerpt`] begin with; no text does, for it is no UTF-8.
const MARK: &[u8] = b"\xff\xfecut\0";

/// What is kept of a payload that is no message, and tells it apart from others. A payload can be read piece
/// by piece, so that a large one is never held whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    start: Vec<u8>,
    bytes: usize,
    hash: u64,
}

impl Default for Excerpt {
    /// That of no bytes.
    fn default() -> Self {
        Self {
            start: Vec::new(),
            bytes: 0,
            hash: 0xcbf2_9ce4_8422_2325,
        }
    }
}

impl Excerpt {
    /// That of a whole payload.
    #[must_use]
    pub fn of(payload: &[u8]) -> Self {
        let mut excerpt = Self::default();
        excerpt.read(payload);
        excerpt
    }

    /// Takes note of the next bytes of the payload.
    ///
    /// The hash is FNV-1a of 64 bits (<https://www.rfc-editor.org/rfc/rfc9923>): the same in every build,
    /// because replicas compare by it.
    pub fn read(&mut self, piece: &[u8]) {
        let kept = piece.len().min(KEPT_UNFIT_BYTES - self.start.len());
        self.start.extend_from_slice(&piece[..kept]);
        self.bytes += piece.len();
        self.hash = piece.iter().fold(self.hash, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
    }

    /// As bytes that can stand where a payload would. No message begins as they do.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let length = u64::try_from(self.bytes).unwrap_or(u64::MAX).to_be_bytes();
        let hash = self.hash.to_be_bytes();
        [MARK, &length, &hash, &self.start].concat().into()
    }

    /// From what [`Excerpt::to_bytes`] made; `None` for any other payload.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(MARK)?;
        let (length, rest) = rest.split_first_chunk()?;
        let (hash, start) = rest.split_first_chunk()?;
        (start.len() <= KEPT_UNFIT_BYTES).then(|| Self {
            start: start.to_vec(),
            bytes: usize::try_from(u64::from_be_bytes(*length)).unwrap_or(usize::MAX),
            hash: u64::from_be_bytes(*hash),
        })
    }

    /// The length of the payload.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// A hash of the whole payload.
    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    /// The first [`KEPT_UNFIT_BYTES`] of the payload.
    pub(super) fn into_start(self) -> Bytes {
        self.start.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_read_in_pieces_is_the_same_as_a_whole_one() {
        let payload = b"0123456789".repeat(300);
        for piece in [1, 7, KEPT_UNFIT_BYTES, 2999] {
            let mut excerpt = Excerpt::default();
            payload.chunks(piece).for_each(|piece| excerpt.read(piece));
            assert_eq!(excerpt, Excerpt::of(&payload), "{piece}");
            assert_eq!(excerpt.bytes(), payload.len());
            assert_eq!(excerpt.into_start(), payload[..KEPT_UNFIT_BYTES]);
        }
    }

    #[test]
    fn it_goes_to_bytes_and_back_and_no_message_does() {
        for payload in [&b""[..], b"abc", &[b'x'; 5000]] {
            let excerpt = Excerpt::of(payload);
            assert_eq!(Excerpt::from_bytes(&excerpt.to_bytes()), Some(excerpt));
        }
        for other in [&b""[..], b"{}", MARK, br#"{"message_id":"a"}"#] {
            assert_eq!(Excerpt::from_bytes(other), None);
        }
    }

    #[test]
    fn the_hash_is_the_one_the_rfc_gives() {
        assert_eq!(Excerpt::of(b"foobar").hash(), 0x8594_4171_f739_67e8);
    }
}
