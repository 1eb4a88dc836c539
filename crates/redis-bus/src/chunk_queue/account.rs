//! What went into the queue, and what became of it.

use super::{ChunkQueue, QueueError};

/// The account of the queue, of all replicas and consumers together, at one instant.
///
/// Invariant: received = duplicate + processed + dead-lettered + queued, by arithmetic: every script that
/// admits or settles a message counts it in the same step, and queued is what is left.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ChunkAccount {
    /// Heard by a replica: admitted, or known already.
    pub received: u64,
    /// Of these, known already, or found processed already in the end.
    pub duplicate: u64,
    /// Processed by a consumer.
    pub processed: u64,
    /// Written to the stream of dead letters, and not moved back. What is deleted there by hand stays in it.
    pub dead_lettered: u64,
    /// Dead letters that were moved back into the queue: with [`Self::dead_lettered`], all that were written.
    pub replayed: u64,
    /// In the queue, and of a chunk that a reader was handed.
    pub in_flight: u64,
    /// In the queue, and not handed out yet.
    pub waiting: u64,
}

impl ChunkQueue {
    /// The account at this instant.
    ///
    /// # Errors
    /// [`QueueError`] when Redis cannot be reached or refuses.
    pub async fn account(&self) -> Result<ChunkAccount, QueueError> {
        let answer = self.run(&self.0.scripts.account, None, |_| ()).await?;
        let [
            received,
            duplicate,
            processed,
            dead_lettered,
            waiting,
            replayed,
        ]: [u64; 6] = self.read(answer)?;
        let left = received.saturating_sub(duplicate + processed + dead_lettered);
        Ok(ChunkAccount {
            received,
            duplicate,
            processed,
            dead_lettered,
            replayed,
            in_flight: left.saturating_sub(waiting),
            waiting,
        })
    }
}
