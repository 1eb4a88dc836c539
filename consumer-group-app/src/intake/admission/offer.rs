//! One offer to the queue, and what follows from its answer.

use protocol::ChunkId;
use redis_bus::chunk_queue::{self, Admitted, Offer, QueueError};
use tracing::info;

use super::{
    super::{
        Received,
        id_log::{IdLog, Sorted},
    },
    Admission, SHORTEST_LOG,
};

/// The outcome of an offer.
#[derive(Debug, Clone, Copy)]
pub(super) enum Offered {
    /// The log was not read to its end, or is another by now.
    Refused,
    /// The chunk waits for whoever reads it.
    Admitted,
    /// This replica is to work the chunk: it was handed it, or it holds no messages.
    HandedOut(ChunkId),
}

impl Admission {
    /// Offers what is new of this.
    pub(super) async fn offer(
        &mut self,
        mut log: IdLog,
        received: &[Received],
        sorted: &Sorted,
    ) -> Result<Offered, QueueError> {
        let new = sorted.new.iter().map(|place| &received[*place]);
        let messages: Vec<_> = new.clone().map(|one| one.payload.clone()).collect();
        let fingerprints: Vec<_> = new.map(|one| one.fingerprint).collect();
        // What is no message needs no consumer.
        let are_messages = received.iter().all(|one| one.is_message);
        let takes = !are_messages || self.receiver.room() >= messages.len();
        let admission = chunk_queue::Admission {
            window: self.window.max(SHORTEST_LOG),
            reader: takes.then(|| self.receiver.reader().to_owned()),
        };
        let offer = Offer {
            messages: &messages,
            fingerprints: &fingerprints,
            duplicates: self.duplicates + sorted.duplicates,
            read_to: (!self.window.is_zero()).then_some(log.read_to),
        };
        let admitted = self.queue.offer(&log.queue, &admission, offer).await;
        let offered = match admitted {
            Ok(Admitted::Appended {
                chunk,
                is_handed_out,
            }) => {
                log.remember(chunk.entry(), fingerprints);
                self.duplicates = 0;
                self.count_at = None;
                let is_ours = is_handed_out || !are_messages;
                if is_ours {
                    Offered::HandedOut(chunk)
                } else {
                    Offered::Admitted
                }
            }
            Ok(Admitted::Missed(page)) => {
                log.extend(page);
                Offered::Refused
            }
            Ok(Admitted::Diverged | Admitted::Counted) => {
                info!("the log of admitted ids has lost its end; reading it anew");
                return Ok(Offered::Refused);
            }
            Err(cause @ QueueError::Another { .. }) => return Err(cause),
            Err(cause) => {
                self.unsure.extend(fingerprints);
                self.log = Some(log);
                return Err(cause);
            }
        };
        self.log = Some(log);
        Ok(offered)
    }
}
