//! What was sent, and what is known about each message.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// How an id begins; its number follows.
const ID: &str = "soak-";

/// How the text in a malformed payload begins that tells it from others; its number follows.
const MALFORMED: &str = "malformed-";

/// More properties than an entry of the stream can have: a consumer rejects such a message.
const TOO_MANY_PROPERTIES: usize = 4_000;

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A message that can be processed.
    Message,
    /// A message that every consumer rejects.
    Rejected,
    /// No JSON.
    NotJson,
    /// JSON without an id.
    WithoutId,
}

impl Kind {
    /// Whether a consumer can process it.
    pub(super) fn can_be_processed(self) -> bool {
        self == Self::Message
    }
}

/// What sending it came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// PUBLISH reached so many subscribers.
    Reached(u64),
    /// `POST /messages` was answered with 202.
    Acknowledged,
    /// No answer, or none that says anything.
    Unknown,
}

/// What is known about one message, over all the times it was sent.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) kind: Kind,
    /// When it was sent first, since the start.
    pub(super) sent_at: Duration,
    /// How often some subscriber was reached, none was, it was acknowledged, and nothing is known.
    pub(super) reached: u32,
    pub(super) unheard: u32,
    pub(super) acknowledged: u32,
    pub(super) unknown: u32,
}

/// What must have become of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// It must have come to its end.
    Arrived,
    /// It may have.
    Either,
    /// Nobody heard it, so it cannot have.
    Absent,
}

impl Record {
    pub(super) fn new(kind: Kind, sent_at: Duration) -> Self {
        Self {
            kind,
            sent_at,
            reached: 0,
            unheard: 0,
            acknowledged: 0,
            unknown: 0,
        }
    }

    pub(super) fn note(&mut self, fate: Fate) {
        match fate {
            Fate::Reached(0) => self.unheard += 1,
            Fate::Reached(_) => self.reached += 1,
            Fate::Acknowledged => self.acknowledged += 1,
            Fate::Unknown => self.unknown += 1,
        }
    }

    pub(super) fn due(&self) -> Due {
        if self.reached + self.acknowledged > 0 {
            Due::Arrived
        } else if self.unknown == 0 && self.unheard > 0 {
            Due::Absent
        } else {
            // Also one whose sending was given up when the load ended.
            Due::Either
        }
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?}, sent first at {:.1?}, reached subscribers {}x, nobody {}x, acknowledged {}x, \
             unknown {}x",
            self.kind, self.sent_at, self.reached, self.unheard, self.acknowledged, self.unknown
        )
    }
}

/// A handle on the records; clones share them.
#[derive(Debug, Clone)]
pub(super) struct Ledger {
    started: Instant,
    records: Arc<Mutex<Vec<Record>>>,
}

impl Ledger {
    pub(super) fn new() -> Self {
        Self {
            started: Instant::now(),
            records: Arc::default(),
        }
    }

    /// How long it has been going on.
    pub(super) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Opens a record for something about to be sent; answers its number.
    pub(super) fn open(&self, kind: Kind) -> usize {
        let record = Record::new(kind, self.now());
        let mut records = self.records();
        records.push(record);
        records.len() - 1
    }

    pub(super) fn note(&self, number: usize, fate: Fate) {
        if let Some(record) = self.records().get_mut(number) {
            record.note(fate);
        }
    }

    /// What was sent under a number: the same whenever it is sent.
    pub(super) fn payload(&self, number: usize) -> Option<String> {
        let kind = self.records().get(number)?.kind;
        Some(payload(kind, number))
    }

    pub(super) fn len(&self) -> usize {
        self.records().len()
    }

    pub(super) fn all(&self) -> Vec<Record> {
        self.records().clone()
    }

    fn records(&self) -> MutexGuard<'_, Vec<Record>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The id of a message.
pub(super) fn id(number: usize) -> String {
    format!("{ID}{number}")
}

/// The number of an id, if it is one of ours.
pub(super) fn number_of_id(id: &str) -> Option<usize> {
    id.strip_prefix(ID)?.parse().ok()
}

/// The number of a malformed payload, if it is one of ours.
pub(super) fn number_of_unfit(payload: &str) -> Option<usize> {
    let (_, after) = payload.split_once(MALFORMED)?;
    let end = after.find(|character: char| !character.is_ascii_digit());
    after[..end.unwrap_or(after.len())].parse().ok()
}

fn payload(kind: Kind, number: usize) -> String {
    match kind {
        Kind::Message => format!(r#"{{"message_id":"{ID}{number}","number":{number}}}"#),
        Kind::Rejected => {
            let properties: Vec<_> = (0..TOO_MANY_PROPERTIES)
                .map(|property| format!(r#""p{property}":1"#))
                .collect();
            let properties = properties.join(",");
            format!(r#"{{"message_id":"{ID}{number}",{properties}}}"#)
        }
        Kind::NotJson => format!("{MALFORMED}{number}"),
        Kind::WithoutId => format!(r#"{{"message_id":7,"text":"{MALFORMED}{number}"}}"#),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(fates: &[Fate]) -> Due {
        let mut record = Record::new(Kind::Message, Duration::ZERO);
        fates.iter().for_each(|fate| record.note(*fate));
        record.due()
    }

    #[test]
    fn what_reached_nobody_is_not_due_and_what_reached_anybody_once_is() {
        assert_eq!(due(&[Fate::Reached(0)]), Due::Absent);
        assert_eq!(due(&[Fate::Reached(2)]), Due::Arrived);
        assert_eq!(due(&[Fate::Reached(0), Fate::Reached(1)]), Due::Arrived);
        assert_eq!(due(&[Fate::Unknown, Fate::Acknowledged]), Due::Arrived);
        assert_eq!(due(&[Fate::Unknown, Fate::Reached(0)]), Due::Either);
        assert_eq!(due(&[]), Due::Either);
    }

    #[test]
    fn a_number_is_found_again_in_whatever_was_sent() {
        let ledger = Ledger::new();
        for kind in [Kind::NotJson, Kind::WithoutId] {
            let number = ledger.open(kind);
            let payload = ledger.payload(number).unwrap();
            assert_eq!(number_of_unfit(&payload), Some(number));
        }
        assert_eq!(number_of_id(&id(12)), Some(12));
        assert_eq!(number_of_id("other-12"), None);
        assert_eq!(ledger.len(), 2);
        assert_eq!(ledger.payload(2), None);
    }
}
