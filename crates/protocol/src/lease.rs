//! Messages that workers fetch over HTTP: how a lease is named, and who has it.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use crate::{ChunkId, Position, QueueIdentity};

/// The longest name of a worker, in bytes of UTF-8.
pub const MAX_WORKER_NAME_BYTES: usize = 128;

/// What a worker that fetches its messages calls itself: a text without blanks, such as `laptop-7`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WorkerName(Arc<str>);

/// A text that is no name of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the name of a worker has 1 to {MAX_WORKER_NAME_BYTES} bytes, without blanks or control characters"
)]
pub struct NotAWorkerName;

impl WorkerName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for WorkerName {
    type Err = NotAWorkerName;

    fn from_str(text: &str) -> Result<Self, NotAWorkerName> {
        let is_bad = |sign: char| sign.is_whitespace() || sign.is_control();
        if text.is_empty() || text.len() > MAX_WORKER_NAME_BYTES || text.contains(is_bad) {
            return Err(NotAWorkerName);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for WorkerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for WorkerName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse()
            .map_err(|why| D::Error::custom(format!("`consumer_id`: {why}")))
    }
}

/// The name of a lease: where its message stands, and a random number that tells it from any other of the same
/// message.
///
/// As text: the identity of the queue, the chunk, the index and the number, such as
/// `9f3a5c7e01b2d4f6-1790000000000-1538-5-00c0ffee00c0ffee`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseToken {
    /// The queue the message stands in.
    pub queue: QueueIdentity,
    /// Where.
    pub position: Position,
    /// Whoever comes with another number has no lease, or no longer.
    pub fence: u64,
}

/// A text that names no lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no lease; send it as POST /messages/lease gave it")]
pub struct NotALease;

impl fmt::Display for LeaseToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (chunk, index) = (self.position.chunk(), self.position.index());
        write!(f, "{}-{chunk}-{index}-{:016x}", self.queue, self.fence)
    }
}

impl FromStr for LeaseToken {
    type Err = NotALease;

    fn from_str(text: &str) -> Result<Self, NotALease> {
        let parse = || {
            let (rest, fence) = text.rsplit_once('-')?;
            let (rest, index) = rest.rsplit_once('-')?;
            let (queue, chunk) = rest.split_once('-')?;
            let chunk: ChunkId = chunk.parse().ok()?;
            let is_digits = |text: &str| text.bytes().all(|digit| digit.is_ascii_digit());
            let index = Some(index).filter(|index| is_digits(index))?;
            Some(Self {
                queue: queue.parse().ok()?,
                position: Position::new(chunk, index.parse().ok()?)?,
                fence: u64::from_str_radix(fence, 16).ok()?,
            })
        };
        let token = parse().ok_or(NotALease)?;
        // One text for each.
        (token.to_string() == text)
            .then_some(token)
            .ok_or(NotALease)
    }
}

impl Serialize for LeaseToken {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LeaseToken {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_goes_to_text_and_back_and_nothing_else_is_one() {
        let text = "9f3a5c7e01b2d4f6-1790000000000-1538-2-00c0ffee00c0ffee";
        let token: LeaseToken = text.parse().unwrap();
        assert_eq!(token.to_string(), text);
        assert_eq!(token.position.index(), 2);
        for bad in [
            "",
            "-",
            "----",
            "9f3a5c7e01b2d4f6-1790000000000-1538-2",
            "9f3a5c7e01b2d4f6-1790000000000-1538-3-00c0ffee00c0ffee",
            "9f3a5c7e01b2d4f6-1790000000000-1538-02-00c0ffee00c0ffee",
            "9f3a5c7e01b2d4f6-1790000000000-1538-2-+0c0ffee00c0ffee",
            "9f3a5c7e01b2d4f6-1790000000000-1538-2-00c0ffee00c0ffee ",
        ] {
            assert_eq!(bad.parse::<LeaseToken>(), Err(NotALease), "{bad}");
        }
    }

    #[test]
    fn a_name_has_no_blanks_and_an_end() {
        for good in ["a", "laptop-7", "127.0.0.1:5001", "größer"] {
            assert_eq!(good.parse::<WorkerName>().unwrap().as_str(), good);
        }
        let long = "x".repeat(MAX_WORKER_NAME_BYTES + 1);
        for bad in ["", " ", "a b", "a\n", "\u{7f}", &long] {
            assert_eq!(bad.parse::<WorkerName>(), Err(NotAWorkerName));
        }
    }
}
