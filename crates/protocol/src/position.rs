//! Where a message stands in the queue.

use std::{fmt, str::FromStr, sync::Arc};

use crate::stream_id::{NotAStreamId, StreamId};

/// The most messages of a chunk. Scripts know it, too: `chunks.lua` in redis-bus.
pub const MAX_MESSAGES: usize = 512;

/// The id of a chunk, which is that of its entry in the queue and in the id log. It never comes again.
///
/// Of its number the lowest nine bits are the number of messages less one; the rest is random. So whoever
/// has the id knows how many messages there are, and no server that takes over with a clock that is behind
/// makes one anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkId(StreamId);

impl ChunkId {
    /// How many messages the chunk was made of: 1 to [`MAX_MESSAGES`].
    #[must_use]
    pub fn messages(self) -> usize {
        let number = usize::try_from(self.0.number()).unwrap_or_default();
        number % MAX_MESSAGES + 1
    }

    /// The id of its entry.
    #[must_use]
    pub fn entry(self) -> StreamId {
        self.0
    }
}

impl From<StreamId> for ChunkId {
    fn from(entry: StreamId) -> Self {
        Self(entry)
    }
}

impl FromStr for ChunkId {
    type Err = NotAStreamId;

    fn from_str(text: &str) -> Result<Self, NotAStreamId> {
        text.parse().map(Self)
    }
}

impl fmt::Display for ChunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a message stands: it names the message for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    chunk: ChunkId,
    index: usize,
}

impl Position {
    /// The message at an index of a chunk; `None` if the chunk does not have as many.
    #[must_use]
    pub fn new(chunk: ChunkId, index: usize) -> Option<Self> {
        (index < chunk.messages()).then_some(Self { chunk, index })
    }

    /// The positions of all messages of a chunk, in order.
    pub fn all(chunk: ChunkId) -> impl Iterator<Item = Self> {
        (0..chunk.messages()).map(move |index| Self { chunk, index })
    }

    /// The chunk it stands in.
    #[must_use]
    pub fn chunk(self) -> ChunkId {
        self.chunk
    }

    /// Its index in the chunk.
    #[must_use]
    pub fn index(self) -> usize {
        self.index
    }
}

/// What tells a queue from any other, also from one that was at the same place before: a random value made
/// with it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct QueueIdentity(Arc<str>);

impl QueueIdentity {
    /// As it is written: 16 hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that is no identity of a queue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the identity of a queue is 16 hexadecimal digits")]
pub struct NotAnIdentity;

impl From<u64> for QueueIdentity {
    fn from(value: u64) -> Self {
        Self(format!("{value:016x}").into())
    }
}

impl FromStr for QueueIdentity {
    type Err = NotAnIdentity;

    fn from_str(text: &str) -> Result<Self, NotAnIdentity> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() == 16 && text.bytes().all(is_digit) {
            Ok(Self(text.into()))
        } else {
            Err(NotAnIdentity)
        }
    }
}

impl fmt::Display for QueueIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(time: u64, messages: u64) -> ChunkId {
        format!("{time}-{}", 3 * 512 + messages - 1)
            .parse()
            .unwrap()
    }

    #[test]
    fn an_id_tells_how_many_messages_its_chunk_has() {
        assert_eq!(chunk(7, 1).messages(), 1);
        assert_eq!(chunk(7, 512).messages(), 512);
        assert_eq!(Position::all(chunk(7, 3)).count(), 3);
        assert!(Position::new(chunk(7, 3), 2).is_some());
        assert!(Position::new(chunk(7, 3), 3).is_none());
    }

    #[test]
    fn an_identity_is_16_hexadecimal_digits() {
        let identity = QueueIdentity::from(0x12ab);
        assert_eq!(identity.to_string(), "00000000000012ab");
        assert_eq!("00000000000012ab".parse(), Ok(identity));
        for text in [
            "",
            "12ab",
            "00000000000012AB",
            "00000000000012ag",
            "00000000000012ab0",
        ] {
            assert_eq!(text.parse::<QueueIdentity>(), Err(NotAnIdentity), "{text}");
        }
    }
}
