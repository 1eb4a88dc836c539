//! The closing account: what became of everything that was sent.

use std::collections::BTreeMap;

use anyhow::Result;
use local_stack::redis::aio::MultiplexedConnection;
use protocol::{
    dead_letter::field::PAYLOAD,
    keys::{FAILED_STREAM, PROCESSED_STREAM},
    message::MESSAGE_ID,
};

use super::{
    findings::{EXAMPLES, Findings},
    ledger::{Due, Record, id, number_of_id, number_of_unfit},
    log::Log,
};
use crate::{
    account::{Pages, REASON, field},
    output::count,
};

/// What is in the streams of one message.
#[derive(Debug, Clone, Default)]
pub(super) struct Found {
    pub(super) processed: u64,
    pub(super) failed: u64,
    pub(super) reason: String,
}

impl Found {
    fn arrived(&self) -> bool {
        self.processed + self.failed > 0
    }
}

/// What is in the streams.
#[derive(Debug, Default)]
pub(super) struct Account {
    /// By the numbers of the records.
    found: Vec<Found>,
    /// Entries of messages that were never sent.
    foreign: Vec<String>,
    by_reason: BTreeMap<String, u64>,
}

impl Account {
    /// Reads both streams to their ends.
    pub(super) async fn read(redis: &mut MultiplexedConnection, sent: usize) -> Result<Self> {
        let mut account = Self {
            found: vec![Found::default(); sent],
            ..Self::default()
        };
        let mut pages = Pages::of(PROCESSED_STREAM);
        while let Some(entries) = pages.next(redis).await? {
            for entry in entries {
                account.add_processed(&field(&entry, MESSAGE_ID));
            }
        }
        let mut pages = Pages::of(FAILED_STREAM);
        while let Some(entries) = pages.next(redis).await? {
            for entry in entries {
                let (id, payload) = (field(&entry, MESSAGE_ID), field(&entry, PAYLOAD));
                account.add_failed(&id, &payload, field(&entry, REASON));
            }
        }
        Ok(account)
    }

    fn add_processed(&mut self, id: &str) {
        match number_of_id(id).and_then(|number| self.found.get_mut(number)) {
            Some(found) => found.processed += 1,
            None => self.foreign.push(format!("processed: {id}")),
        }
    }

    fn add_failed(&mut self, id: &str, payload: &str, reason: String) {
        *self.by_reason.entry(reason.clone()).or_default() += 1;
        let number = if id.is_empty() {
            number_of_unfit(payload)
        } else {
            number_of_id(id)
        };
        match number.and_then(|number| self.found.get_mut(number)) {
            Some(found) => {
                found.failed += 1;
                found.reason = reason;
            }
            None => self.foreign.push(format!("failed ({reason}): {id}")),
        }
    }

    /// All entries of messages processed.
    pub(super) fn processed_entries(&self) -> u64 {
        self.found.iter().map(|found| found.processed).sum()
    }

    /// All dead letters.
    pub(super) fn failed_entries(&self) -> u64 {
        self.by_reason.values().sum()
    }

    /// Checks each message against what is known of it: the invariants I1 to I3.
    pub(super) fn judge(&self, records: &[Record], log: &Log, findings: &Findings) {
        for (number, (record, found)) in records.iter().zip(&self.found).enumerate() {
            for wrong in wrong_with(record, found) {
                let Found {
                    processed,
                    failed,
                    reason,
                } = found;
                let (id, meanwhile) = (id(number), log.at(record.sent_at));
                let example = format!(
                    "{id}: {record}; processed {processed}x, failed {failed}x {reason}; {meanwhile}"
                );
                findings.add(wrong, example);
            }
        }
        for foreign in &self.foreign {
            findings.add("I3: an entry of what was never sent", foreign.clone());
        }
    }

    /// Messages that could be processed and yet were given up, which is no loss but no success either;
    /// some of them, in words.
    pub(super) fn given_up(&self, records: &[Record], log: &Log) -> Vec<String> {
        let all = records.iter().zip(&self.found).enumerate();
        let given_up =
            all.filter(|(_, (record, found))| found.failed > 0 && record.kind.can_be_processed());
        let words = |(number, (record, found)): (usize, (&Record, &Found))| {
            let (id, meanwhile) = (id(number), log.at(record.sent_at));
            format!("{id}: {}, {record}; {meanwhile}", found.reason)
        };
        given_up.take(EXAMPLES).map(words).collect()
    }

    /// The account as a table.
    pub(super) fn rows(&self, records: &[Record]) -> Vec<Vec<String>> {
        let all = || records.iter().zip(&self.found);
        let row = |name: &str, number: usize| vec![name.to_owned(), shown(number)];
        let sum = |of: fn(&Record) -> u32| -> usize {
            let each = records.iter().map(|record| usize::try_from(of(record)));
            each.map(|number| number.unwrap_or(0)).sum()
        };
        let missing =
            |due: Due| all().filter(move |(record, found)| record.due() == due && !found.arrived());
        let beyond_first = |(_, found): (&Record, &Found)| found.processed.saturating_sub(1);
        let duplicates: u64 = all().map(beyond_first).sum();
        let published = sum(|record| record.reached + record.unheard);
        let mut rows = vec![
            row("PUBLISH answered", published),
            row("  of these, to nobody", sum(|record| record.unheard)),
            row("POST acknowledged", sum(|record| record.acknowledged)),
            row(
                "times without a telling answer",
                sum(|record| record.unknown),
            ),
            row("different messages sent", records.len()),
            row(
                "= processed",
                all().filter(|(_, found)| found.processed > 0).count(),
            ),
            row(
                "+ failed",
                all()
                    .filter(|(_, found)| found.processed == 0 && found.failed > 0)
                    .count(),
            ),
            row(
                "  of these, could be processed",
                all()
                    .filter(|(record, found)| found.failed > 0 && record.kind.can_be_processed())
                    .count(),
            ),
            row("+ reached nobody", missing(Due::Absent).count()),
            row("+ unknown, and not arrived", missing(Due::Either).count()),
            row("+ lost", missing(Due::Arrived).count()),
            vec![
                "entries that repeat a message".to_owned(),
                count(duplicates),
            ],
        ];
        rows.extend(
            self.by_reason
                .iter()
                .map(|(reason, number)| vec![format!("failed: {reason}"), count(*number)]),
        );
        rows
    }
}

/// What is wrong with one message, by the invariant it violates.
fn wrong_with(record: &Record, found: &Found) -> Vec<&'static str> {
    let mut wrong = Vec::new();
    if found.processed > 1 {
        wrong.push("I1: in messages:processed more than once");
    }
    if found.failed > 1 {
        wrong.push("I1: among the dead letters more than once");
    }
    if found.processed > 0 && found.failed > 0 {
        wrong.push("I2: in both streams");
    }
    match record.due() {
        Due::Arrived if !found.arrived() => wrong.push("I3: lost"),
        Due::Absent if found.arrived() => wrong.push("I3: arrived although nobody heard it"),
        Due::Arrived | Due::Absent | Due::Either => {}
    }
    if found.processed > 0 && !record.kind.can_be_processed() {
        wrong.push("processed although it cannot be");
    }
    wrong
}

fn shown(number: usize) -> String {
    count(u64::try_from(number).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
