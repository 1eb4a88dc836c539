//! `deadLetters list`: a line for each letter.

use std::collections::BTreeMap;

use anyhow::Result;
use indicatif::HumanCount;
use protocol::{dead_letter::field, message::MESSAGE_ID};
use redis_bus::dead_letters::{Choice, DeadLetters, Selection, StoredLetter};

use super::{
    arguments::ListArguments,
    text::{cut, escaped, escaped_bytes},
};
use crate::output::say;

/// How much of an id and of an error is shown, in characters; a UUID has 36.
const ID: usize = 36;
const ERROR: usize = 80;

pub(super) async fn run(letters: &DeadLetters, arguments: ListArguments) -> Result<()> {
    let choice = arguments.reason.map_or(Choice::All, Choice::Reason);
    let mut cursor = Selection::find(letters, choice).await?.cursor();
    let limit = match arguments.limit {
        0 => u64::MAX,
        limit => limit,
    };
    let mut counts = Counts::default();
    while let Some(page) = cursor.next().await? {
        for letter in page.letters {
            if counts.all == 0 {
                say(&heading())?;
            }
            if counts.all < limit {
                say(&line(&letter))?;
            }
            counts.add(escaped(&letter.text(field::REASON)));
        }
    }
    say(&counts.line(limit))
}

fn heading() -> String {
    row([
        "entry",
        MESSAGE_ID,
        field::REASON,
        field::ATTEMPTS,
        field::FAILED_AT,
        field::LAST_ERROR,
    ])
}

fn line(letter: &StoredLetter) -> String {
    let id = letter.field(MESSAGE_ID).map(|id| escaped_bytes(id));
    let [reason, attempts, failed_at, error] = [
        field::REASON,
        field::ATTEMPTS,
        field::FAILED_AT,
        field::LAST_ERROR,
    ]
    .map(|name| escaped(&letter.text(name)));
    row([
        &letter.entry,
        &id.map_or_else(|| "-".to_owned(), |id| cut(&id, ID)),
        &reason,
        &attempts,
        &failed_at,
        &cut(&error, ERROR),
    ])
}

/// Entry, id, reason, attempts, time, error.
fn row([entry, id, reason, attempts, at, error]: [&str; 6]) -> String {
    let row = format!("{entry:<17} {id:<ID$} {reason:<20} {attempts:>8} {at:<24} {error}");
    row.trim_end().to_owned()
}

/// How many letters there are of each reason.
#[derive(Debug, Default)]
struct Counts {
    all: u64,
    reasons: BTreeMap<String, u64>,
}

impl Counts {
    fn add(&mut self, reason: String) {
        self.all += 1;
        *self.reasons.entry(reason).or_default() += 1;
    }

    fn line(&self, limit: u64) -> String {
        if self.all == 0 {
            return "0 letters".to_owned();
        }
        let reasons = self.reasons.iter();
        let reasons = reasons.map(|(reason, count)| format!("{reason} {}", HumanCount(*count)));
        let reasons = reasons.collect::<Vec<_>>().join(", ");
        let all = match self.all {
            1 => "1 letter".to_owned(),
            all => format!("{} letters", HumanCount(all)),
        };
        if self.all > limit {
            let limit = HumanCount(limit);
            return format!("{all}: {reasons}; the oldest {limit} are listed, --limit 0 lists all");
        }
        format!("{all}: {reasons}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(id: Option<&'static str>, error: &str) -> StoredLetter {
        let fields = [
            ("reason", "rejected"),
            ("attempts", "3"),
            ("failed_at", "t"),
        ];
        let fields = id.map(|id| (MESSAGE_ID, id)).into_iter().chain(fields);
        let fields = fields.chain([("last_error", error)]);
        StoredLetter {
            entry: "1700000000123-0".to_owned(),
            fields: fields
                .map(|(name, value)| (name.to_owned(), value.to_owned().into()))
                .collect(),
        }
    }

    #[test]
    fn columns_stand_below_their_headings_and_what_is_long_is_cut() {
        let (heading, long) = (heading(), "e".repeat(500));
        for id in [
            None,
            Some("a"),
            Some("\u{1b}[31mred"),
            Some("0123456789012345678901234567890123456789"),
        ] {
            let line = line(&letter(id, &long));
            let at = heading.find("reason").unwrap();
            let start: String = line.chars().skip(at).take(8).collect();
            assert_eq!(start, "rejected", "{line}");
            assert!(!line.contains('\u{1b}'));
            assert!(line.chars().count() < 210);
        }
    }

    #[test]
    fn the_closing_line_counts_by_reason_and_says_what_is_not_listed() {
        let mut counts = Counts::default();
        assert_eq!(counts.line(100), "0 letters");
        counts.add("rejected".to_owned());
        assert_eq!(counts.line(100), "1 letter: rejected 1");
        counts.add("not_json".to_owned());
        counts.add("rejected".to_owned());
        assert_eq!(counts.line(100), "3 letters: not_json 1, rejected 2");
        assert!(
            counts
                .line(2)
                .ends_with("the oldest 2 are listed, --limit 0 lists all")
        );
    }
}
