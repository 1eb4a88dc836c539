use std::time::Duration;

use super::*;
use crate::soak::ledger::{Fate, Kind};

fn record(kind: Kind, fates: &[Fate]) -> Record {
    let mut record = Record::new(kind, Duration::ZERO);
    fates.iter().for_each(|fate| record.note(*fate));
    record
}

fn found(processed: u64, failed: u64) -> Found {
    Found {
        processed,
        failed,
        reason: String::new(),
    }
}

#[test]
fn what_was_heard_must_arrive_once_in_one_stream() {
    let heard = record(Kind::Message, &[Fate::Reached(1)]);
    assert!(wrong_with(&heard, &found(1, 0)).is_empty());
    assert!(wrong_with(&heard, &found(0, 1)).is_empty());
    assert_eq!(wrong_with(&heard, &found(0, 0)), ["I3: lost"]);
    assert_eq!(wrong_with(&heard, &found(1, 1)), ["I2: in both streams"]);
    let twice = wrong_with(&heard, &found(2, 0));
    assert_eq!(twice, ["I1: in messages:processed more than once"]);
}

#[test]
fn what_nobody_heard_must_not_arrive_and_of_the_unknown_nothing_is_asked() {
    let unheard = record(Kind::Message, &[Fate::Reached(0)]);
    assert!(wrong_with(&unheard, &found(0, 0)).is_empty());
    assert_eq!(wrong_with(&unheard, &found(1, 0)).len(), 1);
    let repeated = record(Kind::Message, &[Fate::Reached(0), Fate::Reached(2)]);
    assert!(wrong_with(&repeated, &found(1, 0)).is_empty());
    let unknown = record(Kind::Message, &[Fate::Unknown]);
    assert!(wrong_with(&unknown, &found(0, 0)).is_empty());
    assert!(wrong_with(&unknown, &found(1, 0)).is_empty());
}

#[test]
fn what_is_no_message_is_never_processed() {
    let malformed = record(Kind::NotJson, &[Fate::Reached(2)]);
    assert!(wrong_with(&malformed, &found(0, 1)).is_empty());
    assert_eq!(wrong_with(&malformed, &found(1, 0)).len(), 1);
}

#[test]
fn entries_are_found_by_id_or_payload_and_the_account_adds_up() {
    let records = [
        record(Kind::Message, &[Fate::Reached(2)]),
        record(Kind::NotJson, &[Fate::Reached(2)]),
        record(Kind::Message, &[Fate::Reached(0)]),
        record(Kind::Message, &[Fate::Acknowledged]),
    ];
    let mut account = Account {
        found: vec![Found::default(); records.len()],
        ..Account::default()
    };
    account.add_processed("soak-0");
    account.add_failed("", "malformed-1", "not_json".to_owned());
    account.add_processed("soak-9");
    let findings = Findings::default();
    account.judge(&records, &Log::default(), &findings);
    assert_eq!(findings.times("I3: lost"), 1, "the one acknowledged");
    assert_eq!(findings.times("I3: an entry of what was never sent"), 1);
    let rows = account.rows(&records);
    let number = |name: &str| rows.iter().find(|row| row[0] == name).unwrap()[1].clone();
    assert_eq!(number("different messages sent"), "4");
    assert_eq!(number("= processed"), "1");
    assert_eq!(number("+ failed"), "1");
    assert_eq!(number("+ reached nobody"), "1");
    assert_eq!(number("+ lost"), "1");
    assert_eq!(number("failed: not_json"), "1");
}
