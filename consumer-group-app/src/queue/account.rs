//! The account of a queue.

use crate::delivery::Ending;

/// The account, in messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Account {
    /// Handed to this replica.
    pub(crate) received: u64,
    /// Waiting in the queue.
    pub(crate) queued: u64,
    /// Taken from the queue: on the way to a consumer, waiting for another attempt, or on the way to
    /// the stream of dead letters.
    pub(crate) in_flight: u64,
    /// Processed by a consumer.
    pub(crate) processed: u64,
    /// Processed before, or among the dead letters already.
    pub(crate) duplicate: u64,
    /// In the stream of dead letters.
    pub(crate) dead_lettered: u64,
    /// In the queue in Redis, or with another of its readers.
    pub(crate) released: u64,
}

impl Account {
    /// How many messages the group has yet to finish with.
    pub(crate) fn unfinished(&self) -> u64 {
        self.queued + self.in_flight
    }

    /// Something in flight came to its end.
    pub(super) fn end(&mut self, ending: Ending) {
        self.in_flight -= 1;
        match ending {
            Ending::Processed => self.processed += 1,
            Ending::Duplicate => self.duplicate += 1,
            Ending::DeadLettered => self.dead_lettered += 1,
            Ending::Released => self.released += 1,
        }
    }
}
