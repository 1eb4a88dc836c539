//! Where messages come from: made up, or the lines of a file.

mod lines;

use std::path::Path;

use anyhow::Result;
use bytes::Bytes;
use uuid::Uuid;

use self::lines::Lines;

/// How many bytes of messages may be in one batch, so that large ones do not fill the memory.
const MAX_BATCH_BYTES: usize = 1 << 20;

/// Messages, one batch after the other.
#[derive(Debug)]
pub(crate) enum Source {
    /// Made up, each with an id of its own.
    Made {
        /// How many there are in all.
        total: u64,
        /// How many have been made.
        made: u64,
        /// The end of each: the extra property, if any, and the closing brace.
        end: String,
    },
    /// Lines of JSON.
    Lines(Lines),
}

impl Source {
    /// Messages to make up, with an extra property of so many bytes.
    pub(crate) fn made(total: u64, payload_bytes: u64) -> Self {
        let end = match usize::try_from(payload_bytes) {
            Ok(bytes @ 1..) => format!(r#","payload":"{}"}}"#, "x".repeat(bytes)),
            _ => "}".to_owned(),
        };
        let made = 0;
        Self::Made { total, made, end }
    }

    /// The lines of a file; `-` is standard input.
    pub(crate) async fn open(path: &Path) -> Result<Self> {
        Lines::open(path).await.map(Self::Lines)
    }

    /// How many messages there are, where that is known.
    pub(crate) fn total(&self) -> Option<u64> {
        match self {
            Self::Made { total, .. } => Some(*total),
            Self::Lines(_) => None,
        }
    }

    /// The next messages, at most `max` of them; none at the end.
    pub(crate) async fn next_batch(&mut self, max: usize) -> Result<Vec<Bytes>> {
        let mut batch = Batch::up_to(max);
        match self {
            Self::Made { total, made, end } => {
                while *made < *total && batch.has_room() {
                    *made += 1;
                    batch.add(make(*made, *total, end));
                }
            }
            Self::Lines(lines) => lines.read(&mut batch).await?,
        }
        Ok(batch.messages)
    }
}

/// Messages that are published in one round trip.
#[derive(Debug)]
struct Batch {
    messages: Vec<Bytes>,
    bytes: usize,
    max: usize,
}

impl Batch {
    fn up_to(max: usize) -> Self {
        Self {
            messages: Vec::new(),
            bytes: 0,
            max,
        }
    }

    fn has_room(&self) -> bool {
        self.messages.len() < self.max && self.bytes < MAX_BATCH_BYTES
    }

    fn add(&mut self, message: Bytes) {
        self.bytes += message.len();
        self.messages.push(message);
    }
}

fn make(number: u64, total: u64, end: &str) -> Bytes {
    let id = Uuid::new_v4();
    format!(r#"{{"message_id":"{id}","text":"message {number} of {total}"{end}"#).into()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use protocol::Message;

    use super::*;

    async fn all(mut source: Source, max: usize) -> Vec<Vec<Bytes>> {
        let mut batches = Vec::new();
        loop {
            let batch = source.next_batch(max).await.unwrap();
            if batch.is_empty() {
                return batches;
            }
            batches.push(batch);
        }
    }

    #[tokio::test]
    async fn made_up_messages_are_messages_and_their_ids_differ() {
        let batches = all(Source::made(10, 0), 4).await;
        let sizes: Vec<_> = batches.iter().map(Vec::len).collect();
        assert_eq!(sizes, [4, 4, 2]);
        let parse = |body: Bytes| Message::parse(body).unwrap().id().to_string();
        let ids: HashSet<_> = batches.into_iter().flatten().map(parse).collect();
        assert_eq!(ids.len(), 10);
    }

    #[tokio::test]
    async fn the_payload_has_the_size_asked_for_and_bounds_the_batch() {
        let bytes = MAX_BATCH_BYTES / 3;
        let batches = all(Source::made(8, u64::try_from(bytes).unwrap()), 512).await;
        assert_eq!(batches.len(), 3);
        let message = Message::parse(batches[0][0].clone()).unwrap();
        let properties = message.properties().unwrap();
        let (name, payload) = &properties[1];
        assert_eq!((&**name, payload.len()), ("payload", bytes));
    }
}
