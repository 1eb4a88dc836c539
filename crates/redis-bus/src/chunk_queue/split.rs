//! Split: of a chunk that is larger than its reader has room for, the rest goes back.

use protocol::{ChunkId, QueueIdentity};
use rand::RngExt;
use redis::Value;

use super::{ChunkQueue, Indices, Lease, MOST_MESSAGES, QueueError, admission::RANDOM};

/// What a split came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Split {
    /// All that was neither settled nor kept stands in these chunks now.
    Moved(Vec<ChunkId>),
    /// Nothing was done: there was nothing to move, nothing would have been kept, the entry is no chunk, or the
    /// reader does not have the chunk any more.
    Unchanged,
}

impl ChunkQueue {
    /// Puts what is not settled of a chunk back into the queue, except what is kept, in chunks of `size`
    /// messages.
    ///
    /// They go behind all that waits, and their age and their deliveries begin anew. So of a chunk that was handed
    /// out before, each is in a chunk by itself then. Where they stood they answer that they were settled
    /// before, also to whoever comes late. Some of what is not settled must be kept: what goes back as a whole is
    /// given back ([`super::Leases::give_back`]).
    ///
    /// A message must not be in work when it is moved; else it is processed twice, with one outcome.
    ///
    /// # Errors
    /// [`QueueError`]; if Redis cannot be reached it may have been done. The caller lets go of what it does not
    /// keep either way: it is in the queue, in the old chunk or in a new one.
    pub async fn split(
        &self,
        identity: &QueueIdentity,
        lease: &Lease,
        keep: Indices,
        size: usize,
    ) -> Result<Split, QueueError> {
        let chunk = lease.chunk();
        let random = rand::rng().random_range(0..RANDOM);
        let answer = self.run_once(&self.0.scripts.split, |command| {
            command.arg(identity.as_str()).arg(random);
            command.arg(lease.reader()).arg(chunk.to_string());
            command.arg(keep.to_bytes(chunk.messages()));
            command.arg(size.clamp(1, MOST_MESSAGES));
        });
        match answer.await? {
            Value::SimpleString(word) if word == "unchanged" => Ok(Split::Unchanged),
            Value::Array(chunks) => {
                let chunks = chunks.into_iter().map(|chunk| self.chunk(chunk));
                Ok(Split::Moved(chunks.collect::<Result<_, _>>()?))
            }
            other => Err(self.unknown(&format!("{other:?}"))),
        }
    }
}
