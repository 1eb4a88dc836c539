//! What went into the durable queue, and what became of it.

use redis::Cmd;

use super::{DurableQueue, STREAM_GROUP};
use crate::BusError;

/// The account of the durable queue, of all replicas and consumers together, at one instant.
///
/// Invariant: received = duplicate + processed + dead-lettered + in flight + queued. Every script that
/// moves a message from one of these to another also keeps the account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueAccount {
    /// Brought to the queue, new or not, or to the dead letters without having been in it. Settled
    /// messages that are handed out again, because somebody destroyed the `StreamGroup`, count again.
    pub received: u64,
    /// Of these, known already when they came, or found processed already in the end.
    pub duplicate: u64,
    /// Processed by a consumer.
    pub processed: u64,
    /// In the stream of dead letters.
    pub dead_lettered: u64,
    /// In the queue and handed out to a reader.
    pub in_flight: u64,
    /// In the queue and not handed out yet.
    pub queued: u64,
}

impl DurableQueue {
    /// The account as it stands.
    ///
    /// # Errors
    /// [`BusError`] when Redis cannot be reached or refuses.
    pub async fn account(&self) -> Result<QueueAccount, BusError> {
        let call = |command: &mut Cmd| {
            command.arg(2);
            self.add_keys(command);
            command.arg(STREAM_GROUP);
        };
        let [
            received,
            duplicate,
            processed,
            dead_lettered,
            in_flight,
            length,
        ]: [u64; 6] = self.connection.script(&self.account, call).await?;
        Ok(QueueAccount {
            received,
            duplicate,
            processed,
            dead_lettered,
            in_flight,
            queued: length.saturating_sub(in_flight),
        })
    }
}
