//! The id of an entry of a stream.

use std::{
    fmt,
    num::ParseIntError,
    str::FromStr,
    time::{Duration, SystemTime},
};

/// The id of an entry of a stream, such as `1700000000123-0`.
///
/// It is a time in milliseconds by the clock of Redis, and a number that tells apart what came within one
/// (<https://redis.io/docs/latest/develop/data-types/streams/#entry-ids>).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    millis: u64,
    number: u64,
}

/// A text that is no id of an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an entry's id is two whole numbers with a hyphen between them, such as 1700000000123-0")]
pub struct NotAStreamId;

impl From<ParseIntError> for NotAStreamId {
    fn from(_: ParseIntError) -> Self {
        Self
    }
}

impl StreamId {
    /// What is before the first entry of every stream: `0-0`.
    pub const ZERO: Self = Self {
        millis: 0,
        number: 0,
    };

    /// The time, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn millis(self) -> u64 {
        self.millis
    }

    /// The number within the millisecond.
    #[must_use]
    pub fn number(self) -> u64 {
        self.number
    }

    /// When the entry was added, to the millisecond, by the clock of Redis.
    #[must_use]
    pub fn added_at(self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.millis)
    }
}

impl FromStr for StreamId {
    type Err = NotAStreamId;

    fn from_str(text: &str) -> Result<Self, NotAStreamId> {
        let (millis, number) = text.split_once('-').ok_or(NotAStreamId)?;
        // A sign is nothing that Redis writes.
        if text.contains('+') {
            return Err(NotAStreamId);
        }
        Ok(Self {
            millis: millis.parse()?,
            number: number.parse()?,
        })
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.millis, self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_what_it_writes_and_nothing_else() {
        for text in ["0-0", "1700000000123-0", "1-18446744073709551615"] {
            let id: StreamId = text.parse().unwrap();
            assert_eq!(id.to_string(), text);
        }
        for text in [
            "",
            "-",
            "1",
            "1-",
            "-1",
            "1-2-3",
            "+1-2",
            "1-+2",
            " 1-2",
            "a-1",
            "1-18446744073709551616",
        ] {
            assert_eq!(text.parse::<StreamId>(), Err(NotAStreamId), "{text}");
        }
    }

    #[test]
    fn ids_are_in_the_order_of_their_entries() {
        let ids =
            ["0-0", "0-1", "9-0", "9-10", "10-9"].map(|text| text.parse::<StreamId>().unwrap());
        assert!(ids.is_sorted());
    }
}
