//! Where a message stands in the durable queue, and how that travels.
//!
//! The group sends the positions of a request's messages in the header [`QUEUE_POSITIONS`], in the order of
//! the messages:
//!
//! ```text
//! queue-positions: 9f3a5c7e01b2d4f6 1790000000000-1535/0-2,5 1790000000007-512/0
//! ```
//!
//! That is the identity of the queue, and then, for each chunk, its id and the indices of the messages, as
//! single ones or as the first and the last of several that follow each other. A consumer that records its
//! results in the queue's Redis settles them by these positions; any other may ignore the header.

use std::{fmt, str::FromStr, sync::Arc};

use crate::stream_id::{NotAStreamId, StreamId};

/// The header of a request to a consumer that names the positions of its messages.
pub const QUEUE_POSITIONS: &str = "queue-positions";

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

/// Where the messages of one request stand, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Positions {
    /// The queue they stand in.
    pub queue: QueueIdentity,
    /// One for each message.
    pub positions: Vec<Position>,
}

/// A value of the header [`QUEUE_POSITIONS`] that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadPositions {
    /// It does not begin with an identity.
    #[error(transparent)]
    Identity(#[from] NotAnIdentity),
    /// What stands before a slash is no id of a chunk.
    #[error("a chunk: {0}")]
    Chunk(#[from] NotAStreamId),
    /// What stands after a slash is no list of indices.
    #[error(
        "indices are numbers and ranges of them, such as 0-2,5, each below the size of the chunk"
    )]
    Indices,
    /// There are more than a request may have.
    #[error("there are more than {MAX_MESSAGES} positions")]
    TooMany,
}

impl fmt::Display for Positions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.queue)?;
        let follows = |one: &Position, next: &Position| {
            one.chunk == next.chunk && one.index + 1 == next.index
        };
        let mut last = None;
        for run in self.positions.chunk_by(follows) {
            let (
                Position {
                    chunk,
                    index: first,
                },
                end,
            ) = (run[0], run[run.len() - 1].index);
            if last == Some(chunk) {
                write!(f, ",{first}")?;
            } else {
                write!(f, " {chunk}/{first}")?;
            }
            if end > first {
                write!(f, "-{end}")?;
            }
            last = Some(chunk);
        }
        Ok(())
    }
}

impl FromStr for Positions {
    type Err = BadPositions;

    fn from_str(text: &str) -> Result<Self, BadPositions> {
        let mut words = text.split_ascii_whitespace();
        let queue = words.next().unwrap_or_default().parse()?;
        let mut positions = Vec::new();
        for word in words {
            let (chunk, indices) = word.split_once('/').ok_or(BadPositions::Indices)?;
            let chunk: ChunkId = chunk.parse()?;
            for range in indices.split(',') {
                let (first, last) = range.split_once('-').unwrap_or((range, range));
                let (first, last) = (index(first, chunk)?, index(last, chunk)?);
                if first > last {
                    return Err(BadPositions::Indices);
                }
                if positions.len() + (last - first) >= MAX_MESSAGES {
                    return Err(BadPositions::TooMany);
                }
                positions.extend((first..=last).map(|index| Position { chunk, index }));
            }
        }
        Ok(Self { queue, positions })
    }
}

/// An index in a chunk.
fn index(text: &str, chunk: ChunkId) -> Result<usize, BadPositions> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let index: usize = text.parse().map_err(|_refused| BadPositions::Indices)?;
    if is_number && index < chunk.messages() {
        Ok(index)
    } else {
        Err(BadPositions::Indices)
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

    fn positions(places: &[(ChunkId, usize)]) -> Positions {
        let position = |(chunk, index): &(ChunkId, usize)| Position {
            chunk: *chunk,
            index: *index,
        };
        Positions {
            queue: QueueIdentity::from(0x9f3a_5c7e_01b2_d4f6),
            positions: places.iter().map(position).collect(),
        }
    }

    #[test]
    fn an_id_tells_how_many_messages_its_chunk_has() {
        assert_eq!(chunk(7, 1).messages(), 1);
        assert_eq!(chunk(7, 512).messages(), 512);
    }

    #[test]
    fn positions_are_read_as_they_are_written_in_the_order_of_the_messages() {
        let (large, one) = (chunk(1, 512), chunk(2, 1));
        for (places, text) in [
            (vec![], "9f3a5c7e01b2d4f6"),
            (vec![(one, 0)], "9f3a5c7e01b2d4f6 2-1536/0"),
            (
                vec![
                    (large, 0),
                    (large, 1),
                    (large, 2),
                    (large, 5),
                    (one, 0),
                    (large, 4),
                ],
                "9f3a5c7e01b2d4f6 1-2047/0-2,5 2-1536/0 1-2047/4",
            ),
            (vec![(large, 7), (large, 6)], "9f3a5c7e01b2d4f6 1-2047/7,6"),
        ] {
            let positions = positions(&places);
            assert_eq!(positions.to_string(), text);
            assert_eq!(text.parse(), Ok(positions));
        }
        let all: Vec<_> = (0..512).map(|index| (large, index)).collect();
        assert_eq!(positions(&all).to_string(), "9f3a5c7e01b2d4f6 1-2047/0-511");
    }

    #[test]
    fn nonsense_is_refused() {
        let queue = "9f3a5c7e01b2d4f6";
        for text in ["", "9f3a5c7e01b2d4f", "9F3A5C7E01B2D4F6", "x 1-0/0"] {
            assert!(
                matches!(text.parse::<Positions>(), Err(BadPositions::Identity(_))),
                "{text}"
            );
        }
        for places in ["1/0", "x-1/0", "/0"] {
            let text = format!("{queue} {places}");
            assert!(
                matches!(text.parse::<Positions>(), Err(BadPositions::Chunk(_))),
                "{text}"
            );
        }
        for places in [
            "1-2", "1-2/", "1-2/3", "1-2/2-1", "1-2/0,", "1-2/+0", "1-2/-1", "1-2/0-", "1-2/a",
        ] {
            let text = format!("{queue} {places}");
            assert_eq!(
                text.parse::<Positions>(),
                Err(BadPositions::Indices),
                "{text}"
            );
        }
        let many = format!("{queue} 1-511/0-511 1-0/0");
        assert_eq!(many.parse::<Positions>(), Err(BadPositions::TooMany));
    }
}
