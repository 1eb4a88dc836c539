//! Admission of messages whose chunk the queue has lost.

use std::{collections::HashSet, time::Duration};

use bytes::Bytes;
use protocol::{Message, QueueIdentity, StreamId};

use super::{Admission, Admitted, ChunkQueue, LogEntry, Offer, QueueError, fitting};
use crate::Fingerprint;

/// An id log is not trimmed by whoever offers messages again: that is for those who hear them.
const UNTRIMMED: Admission = Admission {
    window: Duration::MAX,
    reader: None,
};

/// A message, and the fingerprint of its id.
type Lost = (Fingerprint, Bytes);

impl ChunkQueue {
    /// Offers messages again whose chunk the queue has lost ([`Settlement::Unknown`](super::Settlement), or
    /// [`QueueError::Another`]): a failover lost its end, or all was deleted. Each is admitted unless its id was
    /// since, by a replica that had heard it, too. Makes the queue if it is not there. Returns how many were
    /// admitted.
    ///
    /// With a `dedup_window` of zero, ids tell nothing apart, and all are admitted.
    ///
    /// # Errors
    /// As [`ChunkQueue::open`] and [`ChunkQueue::offer`]. It can be repeated: what was admitted is found in the
    /// log.
    pub async fn offer_again(
        &self,
        messages: &[Message],
        dedup_window: Duration,
    ) -> Result<usize, QueueError> {
        let (identity, _) = self.open().await?;
        let lost = messages.iter().map(|message| {
            let fingerprint = Fingerprint::of(message.id().as_str());
            (fingerprint, message.body().clone())
        });
        let mut lost: Vec<Lost> = lost.collect();
        let mut admitted = 0;
        let mut read_to = if dedup_window.is_zero() {
            None
        } else {
            Some(self.read_whole_log(&mut lost).await?)
        };
        while !lost.is_empty() {
            let count = fitting(lost.iter().map(|(_, message)| message));
            match self.offer_lost(&identity, &lost[..count], read_to).await? {
                Admitted::Appended { chunk, .. } => {
                    lost.drain(..count);
                    admitted += count;
                    read_to = read_to.map(|_| chunk.entry());
                }
                Admitted::Missed(page) => {
                    forget_known(&mut lost, &page.entries);
                    read_to = Some(page.read_to);
                }
                Admitted::Diverged => read_to = Some(self.read_whole_log(&mut lost).await?),
                // There was a message.
                Admitted::Counted => break,
            }
        }
        Ok(admitted)
    }

    async fn offer_lost(
        &self,
        identity: &QueueIdentity,
        lost: &[Lost],
        read_to: Option<StreamId>,
    ) -> Result<Admitted, QueueError> {
        let (fingerprints, messages): (Vec<_>, Vec<_>) = lost.iter().cloned().unzip();
        let offer = Offer {
            messages: &messages,
            fingerprints: &fingerprints,
            duplicates: 0,
            read_to,
        };
        self.offer(identity, &UNTRIMMED, offer).await
    }

    /// Takes out what the id log has; answers up to where it was read.
    async fn read_whole_log(&self, lost: &mut Vec<Lost>) -> Result<StreamId, QueueError> {
        let mut read_to = StreamId::ZERO;
        loop {
            let page = self.read_log(read_to, 0).await?;
            forget_known(lost, &page.entries);
            read_to = page.read_to;
            if page.is_last || lost.is_empty() {
                return Ok(read_to);
            }
        }
    }
}

fn forget_known(lost: &mut Vec<Lost>, entries: &[LogEntry]) {
    let ids: HashSet<_> = lost.iter().map(|(id, _)| *id).collect();
    let logged = entries.iter().flat_map(|entry| &entry.fingerprints);
    let known: HashSet<_> = logged.filter(|id| ids.contains(id)).collect();
    lost.retain(|(id, _)| !known.contains(id));
}
