//! Where a message stands in the queue, and how that travels.
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

use std::{fmt, str::FromStr};

use crate::{
    ChunkId, Position, QueueIdentity,
    position::{MAX_MESSAGES, NotAnIdentity},
    stream_id::NotAStreamId,
};

/// The header of a request to a consumer that names the positions of its messages.
pub const QUEUE_POSITIONS: &str = "queue-positions";

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
            one.chunk() == next.chunk() && one.index() + 1 == next.index()
        };
        let mut last = None;
        for run in self.positions.chunk_by(follows) {
            let (chunk, first) = (run[0].chunk(), run[0].index());
            let end = run[run.len() - 1].index();
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
                let (first, last) = (index(first)?, index(last)?);
                if first > last || last >= chunk.messages() {
                    return Err(BadPositions::Indices);
                }
                if positions.len() + (last - first) >= MAX_MESSAGES {
                    return Err(BadPositions::TooMany);
                }
                positions.extend((first..=last).filter_map(|index| Position::new(chunk, index)));
            }
        }
        Ok(Self { queue, positions })
    }
}

/// Digits as a number; no sign may stand in front.
fn index(text: &str) -> Result<usize, BadPositions> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let index = text.parse().ok().filter(|_| is_number);
    index.ok_or(BadPositions::Indices)
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
        let position = |(chunk, index): &(ChunkId, usize)| Position::new(*chunk, *index).unwrap();
        Positions {
            queue: QueueIdentity::from(0x9f3a_5c7e_01b2_d4f6),
            positions: places.iter().map(position).collect(),
        }
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
