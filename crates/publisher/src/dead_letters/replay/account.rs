//! The outcomes of the letters that were to be replayed.

use std::collections::BTreeMap;

use anyhow::Result;
use indicatif::HumanCount;
use protocol::dead_letter::field;
use redis_bus::dead_letters::{LetterOutcome, ReplayMode, Replayed, Skipped, StoredLetter};

use crate::{
    dead_letters::text::{escaped, name},
    output::{note, say},
};

/// The most letters that are named one by one in the end.
const NAMED: u64 = 100;

/// The account so far.
#[derive(Debug)]
pub(super) struct Account {
    pub mode: ReplayMode,
    /// Messages on their way again.
    pub replayed: u64,
    /// Letters that were there, and are no more.
    pub gone: u64,
    /// How many were skipped for each cause.
    skipped: BTreeMap<String, u64>,
    /// The letters that were skipped, as far as they are named.
    named: Vec<String>,
}

impl Account {
    pub(super) fn new(mode: ReplayMode) -> Self {
        Self {
            mode,
            replayed: 0,
            gone: 0,
            skipped: BTreeMap::new(),
            named: Vec::new(),
        }
    }

    /// How many letters are accounted for.
    pub(super) fn done(&self) -> u64 {
        self.replayed + self.gone + self.skipped()
    }

    fn skipped(&self) -> u64 {
        self.skipped.values().sum()
    }

    /// An id that is no letter's, or no longer.
    pub(super) fn add_missing(&mut self, id: &str) {
        self.gone += 1;
        note(&format!("no letter {}", escaped(id)));
    }

    /// The outcome of a letter.
    pub(super) fn add(&mut self, letter: &StoredLetter, outcome: LetterOutcome) -> Result<()> {
        match outcome {
            LetterOutcome::Skipped(skipped) => self.skip(letter, skipped),
            LetterOutcome::Answered(replayed) => self.add_answer(letter, replayed),
        }
    }

    fn add_answer(&mut self, letter: &StoredLetter, replayed: Replayed) -> Result<()> {
        match replayed {
            Replayed::Sent => {
                self.replayed += 1;
                if self.mode == ReplayMode::DryRun {
                    say(&format!("would replay {}", name(letter)))?;
                }
            }
            Replayed::Admitted => {
                self.skip_because(letter, "its message came again since".to_owned())?;
            }
            Replayed::Gone => self.gone += 1,
        }
        Ok(())
    }

    fn skip(&mut self, letter: &StoredLetter, skipped: Skipped) -> Result<()> {
        let cause = match skipped {
            Skipped::Malformed => format!("no message ({})", escaped(&letter.text(field::REASON))),
            Skipped::Processed => "processed already".to_owned(),
            Skipped::Repeated => "another letter has the same message".to_owned(),
        };
        self.skip_because(letter, cause)
    }

    fn skip_because(&mut self, letter: &StoredLetter, cause: String) -> Result<()> {
        match self.mode {
            ReplayMode::DryRun => say(&format!("would skip {}: {cause}", name(letter)))?,
            ReplayMode::Real if self.skipped() < NAMED => {
                self.named
                    .push(format!("skipped {}: {cause}", name(letter)));
            }
            ReplayMode::Real => {}
        }
        *self.skipped.entry(cause).or_default() += 1;
        Ok(())
    }

    /// The closing account.
    pub(super) fn print(&self) -> Result<()> {
        for line in self.lines() {
            say(&line)?;
        }
        Ok(())
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = self.named.clone();
        if self.mode == ReplayMode::Real && self.skipped() > NAMED {
            let more = HumanCount(self.skipped() - NAMED);
            lines.push(format!("and {more} more that were skipped"));
        }
        let causes = self.skipped.iter();
        let causes = causes.map(|(cause, count)| format!("{cause}: {}", HumanCount(*count)));
        let causes = causes.collect::<Vec<_>>().join(", ");
        let causes = match causes.as_str() {
            "" => String::new(),
            causes => format!(" ({causes})"),
        };
        let [replayed, skipped, gone] = [self.replayed, self.skipped(), self.gone].map(HumanCount);
        let account = format!("{replayed}, skipped {skipped}{causes}, gone {gone}");
        lines.push(match self.mode {
            ReplayMode::Real => format!("replayed {account}"),
            ReplayMode::DryRun => format!("nothing was changed; would have replayed {account}"),
        });
        if self.skipped() > 0 {
            lines.push("what was skipped stays; `deadLetters purge` removes it".to_owned());
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(number: u64) -> StoredLetter {
        let field = |name: &str, value: &'static str| (name.to_owned(), value.into());
        StoredLetter {
            entry: format!("{number}-0"),
            fields: vec![field("message_id", "a"), field("reason", "not_json")],
        }
    }

    #[test]
    fn the_account_tells_every_letter_once_and_names_what_was_skipped() {
        let mut account = Account::new(ReplayMode::Real);
        for replayed in [Replayed::Sent, Replayed::Sent, Replayed::Gone] {
            account
                .add(&letter(1), LetterOutcome::Answered(replayed))
                .unwrap();
        }
        account.skip(&letter(1), Skipped::Processed).unwrap();
        account.skip(&letter(2), Skipped::Malformed).unwrap();
        assert_eq!(account.done(), 5);
        let expected = [
            "skipped 1-0 (a): processed already",
            "skipped 2-0 (a): no message (not_json)",
            "replayed 2, skipped 2 (no message (not_json): 1, processed already: 1), gone 1",
            "what was skipped stays; `deadLetters purge` removes it",
        ];
        assert_eq!(account.lines(), expected);
    }

    #[test]
    fn of_many_that_were_skipped_some_are_named_and_all_counted() {
        let mut account = Account::new(ReplayMode::Real);
        for number in 0..NAMED + 7 {
            account.skip(&letter(number), Skipped::Repeated).unwrap();
        }
        let lines = account.lines();
        assert_eq!(u64::try_from(lines.len()).unwrap(), NAMED + 3);
        assert!(lines.contains(&"and 7 more that were skipped".to_owned()));
    }
}
