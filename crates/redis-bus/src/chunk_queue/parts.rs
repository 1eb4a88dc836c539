//! Messages in any order as parts of chunks, as scripts take them, and their answers in that order again.

use protocol::{ChunkId, Position};
use redis::Cmd;

use super::{
    Indices,
    settlement::{PartAnswer, Settlement, Settlements},
};

/// Some messages of one chunk.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    chunk: ChunkId,
    indices: Indices,
    /// Where each of them was among all, in the order of their indices.
    pub(super) places: Vec<usize>,
}

/// All messages of one call.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parts {
    parts: Vec<Part>,
    messages: usize,
}

impl Parts {
    /// One part for each chunk. A position that stands there twice is in it once.
    pub(super) fn of(positions: impl IntoIterator<Item = Position>) -> Self {
        let mut places: Vec<_> = positions.into_iter().zip(0..).collect();
        let messages = places.len();
        places.sort_unstable();
        places.dedup_by_key(|(position, _)| *position);
        let chunks = places.chunk_by(|(one, _), (next, _)| one.chunk() == next.chunk());
        let parts = chunks.map(|places| Part {
            chunk: places[0].0.chunk(),
            indices: places
                .iter()
                .map(|(position, _)| position.index())
                .collect(),
            places: places.iter().map(|(_, place)| *place).collect(),
        });
        Self {
            parts: parts.collect(),
            messages,
        }
    }

    /// One part for each message, in order.
    pub(super) fn of_one_each(positions: impl IntoIterator<Item = Position>) -> Self {
        let parts = positions
            .into_iter()
            .enumerate()
            .map(|(place, position)| Part {
                chunk: position.chunk(),
                indices: [position.index()].into_iter().collect(),
                places: vec![place],
            });
        let parts: Vec<_> = parts.collect();
        let messages = parts.len();
        Self { parts, messages }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Part> {
        self.parts.iter()
    }

    /// How many parts.
    pub(super) fn len(&self) -> usize {
        self.parts.len()
    }

    /// How many messages.
    pub(super) fn messages(&self) -> usize {
        self.messages
    }

    /// The outcome of each message, from as many answers as there are parts. The second of two at one position was
    /// settled before: by the first.
    pub(super) fn settlements(&self, answers: &[PartAnswer]) -> Settlements {
        let mut settlements = vec![Ok(Settlement::Before); self.messages];
        for (part, answer) in self.parts.iter().zip(answers) {
            for (place, number) in part.places.iter().zip(1..) {
                settlements[*place] = Ok(match answer {
                    PartAnswer::Unknown => Settlement::Unknown,
                    PartAnswer::AllBefore => Settlement::Before,
                    PartAnswer::Before(before) if before.binary_search(&number).is_ok() => {
                        Settlement::Before
                    }
                    PartAnswer::Before(_) => Settlement::Settled,
                });
            }
        }
        settlements
    }
}

impl Part {
    /// Appends chunk, bits and number of messages to a command.
    pub(super) fn add_to(&self, command: &mut Cmd) {
        command.arg(self.chunk.to_string());
        command.arg(self.indices.to_bytes(self.chunk.messages()));
        command.arg(self.places.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(chunk: u64, index: usize) -> Position {
        let chunk = format!("{chunk}-511").parse().unwrap();
        Position::new(chunk, index).unwrap()
    }

    #[test]
    fn messages_in_any_order_are_one_part_a_chunk_and_the_answers_are_in_their_order() {
        let parts = Parts::of(
            [(2, 5), (1, 9), (2, 3), (3, 0), (1, 9), (2, 4)].map(|(c, i)| position(c, i)),
        );
        assert_eq!((parts.len(), parts.messages()), (3, 6));
        assert_eq!(parts.parts[1].places, [2, 5, 0]);
        let answers = [
            PartAnswer::Before(vec![]),
            PartAnswer::Before(vec![1, 3]),
            PartAnswer::Unknown,
        ];
        let settlements: Vec<_> = parts.settlements(&answers).into_iter().flatten().collect();
        assert_eq!(
            settlements,
            [
                Settlement::Before,
                Settlement::Settled,
                Settlement::Before,
                Settlement::Unknown,
                Settlement::Before,
                Settlement::Settled,
            ]
        );
    }
}
