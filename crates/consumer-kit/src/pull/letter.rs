//! The dead letters of messages that are given up.

use protocol::{DeadLetter, DeadLetterReason, Message, MessageError, dead_letter::Excerpt};

use super::{attempt::Failure, batch::Item};

/// That of a message whose last attempt, of so many, failed; or of what is no message.
pub(super) fn of_failure(item: &Item, failure: &Failure, attempts: u64) -> DeadLetter {
    let reason = match failure {
        Failure::Malformed(error) => return malformed(item, error),
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
    match Message::parse(item.payload.clone()) {
        Ok(message) => DeadLetter::new(&message, reason, attempts, error),
        Err(error) => malformed(item, &error),
    }
}

fn malformed(item: &Item, error: &MessageError) -> DeadLetter {
    DeadLetter::unfit(Excerpt::of(&item.payload), error)
}
