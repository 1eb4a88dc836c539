//! The dead letters of messages that are given up.

use protocol::{
    DeadLetter, DeadLetterReason,
    retry::{Fault, History, NextStep, next_step},
};

use super::{attempt::Failure, batch::Item};

/// That of a message that was not processed, at the last of so many deliveries; `None` if it is to be tried again.
pub(super) fn after(
    item: &Item,
    failure: &Failure,
    deliveries: u64,
    max_deliveries: u64,
) -> Option<DeadLetter> {
    let fault = match failure {
        Failure::Malformed(letter) => return Some((**letter).clone()),
        Failure::Rejected(_) => Fault::Message,
        Failure::Postponed(_) => return None,
        Failure::Failed(_) => Fault::Attempt,
    };
    let history = History {
        attempts: deliveries,
        fruitless: 0,
    };
    match next_step(history, fault, max_deliveries) {
        NextStep::GiveUp(reason) => Some(letter(item, reason, deliveries, &failure.text())),
        NextStep::Retry { .. } => None,
    }
}

/// That of a message which was handed out so often, and whoever had it ended with it, but for the last one, which has
/// not begun.
pub(super) fn of_unfinished(item: &Item, deliveries: u64) -> DeadLetter {
    let reason = DeadLetterReason::DeliveriesExhausted;
    let error = "whoever it was handed to did not finish";
    letter(item, reason, deliveries.saturating_sub(1), error)
}

fn letter(item: &Item, reason: DeadLetterReason, attempts: u64, error: &str) -> DeadLetter {
    let attempts = u32::try_from(attempts).unwrap_or(u32::MAX);
    match DeadLetter::unless_message(&item.payload) {
        Ok(message) => DeadLetter::new(&message, reason, attempts, error),
        Err(letter) => *letter,
    }
}
