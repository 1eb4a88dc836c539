//! `deadLetters show`: all there is about a letter.

use anyhow::{Result, bail};
use protocol::dead_letter::field;
use redis_bus::dead_letters::{Choice, DeadLetters, Selection, StoredLetter};

use super::text::{escaped, escaped_bytes};
use crate::output::say;

pub(super) async fn run(letters: DeadLetters, id: String) -> Result<()> {
    let selection = Selection::find(&letters, Choice::Ids(vec![id])).await?;
    if let Some(id) = selection.missing.first() {
        bail!(
            "{} has no letter {}; `deadLetters list` shows those there are",
            escaped(letters.key()),
            escaped(id)
        );
    }
    let mut cursor = selection.cursor();
    let mut is_first = true;
    while let Some(page) = cursor.next().await? {
        for letter in page.letters {
            if !is_first {
                say("")?;
            }
            is_first = false;
            for line in lines(&letter) {
                say(&line)?;
            }
        }
    }
    Ok(())
}

/// A line for each field; the payload, which may be long, is the last.
fn lines(letter: &StoredLetter) -> Vec<String> {
    let line = |name: &str, value: &str| format!("{name:<13} {value}").trim_end().to_owned();
    let mut lines = vec![line("entry", &letter.entry)];
    let is_payload = |name: &str| name == field::PAYLOAD;
    for last in [false, true] {
        let fields = letter.fields.iter();
        let fields = fields.filter(|(name, _)| is_payload(name) == last);
        lines.extend(fields.map(|(name, value)| line(&escaped(name), &escaped_bytes(value))));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_shown_and_the_payload_is_the_last() {
        let fields = [
            ("message_id", "a"),
            ("payload", "{\n}"),
            ("reason", "rejected"),
        ];
        let letter = StoredLetter {
            entry: "1-0".to_owned(),
            fields: fields
                .map(|(name, value)| (name.to_owned(), value.into()))
                .to_vec(),
        };
        let expected = [
            "entry         1-0",
            "message_id    a",
            "reason        rejected",
            r"payload       {\n}",
        ];
        assert_eq!(lines(&letter), expected);
    }
}
