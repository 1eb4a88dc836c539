//! The dead letters of messages that are given up.

use protocol::{DeadLetter, DeadLetterReason};

use super::{attempt::Failure, batch::Item};

/// That of a message whose last attempt, of so many, failed; or of what is no message.
pub(super) fn of_failure(item: &Item, failure: &Failure, attempts: u64) -> DeadLetter {
    let reason = match failure {
        Failure::Malformed(letter) => return (**letter).clone(),
        Failure::Rejected(_) => DeadLetterReason::Rejected,
        Failure::Failed(_) => DeadLetterReason::AttemptsExhausted,
    };
    letter(item, reason, attempts, &failure.text())
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
