//! Writes to the queue what consumers have done with: the results that they answered, and that the others are done.

use std::collections::HashMap;

use protocol::{Fields, Position, QueueIdentity};
use redis_bus::chunk_queue::{ChunkQueue, Outcome, QueueError, Settlement};

use crate::{
    delivery::{Delivery, Ending},
    intake::Buffer,
};

/// What is to be written of a message that a consumer has done with.
#[derive(Debug)]
pub(crate) enum Record {
    /// That it came to this; its result, if any, is elsewhere.
    Count(Outcome),
    /// Its result.
    Entry(Fields),
}

impl Record {
    /// That it ended so.
    pub(crate) fn count(ending: Ending) -> Self {
        Self::Count(match ending {
            Ending::Duplicate => Outcome::Duplicate,
            Ending::Processed | Ending::DeadLettered | Ending::Released => Outcome::Processed,
        })
    }
}

/// A delivery that a consumer has done with, still in the queue, with what it is to be counted as here.
#[derive(Debug)]
pub(crate) struct Unsettled {
    pub(crate) delivery: Delivery,
    pub(crate) ending: Ending,
    pub(crate) record: Record,
}

/// What writing it came to.
#[derive(Debug)]
pub(crate) enum Written {
    /// It is settled, and its delivery ended.
    Settled,
    /// The queue has lost the message, and its result is not recorded: it is offered to the queue again.
    Lost,
    /// It is not known to be settled; it can be tried again.
    NotYet(Box<Unsettled>, QueueError),
}

/// What writes; clones share the connection.
#[derive(Debug, Clone)]
pub(crate) struct Recorder {
    pub(crate) queue: ChunkQueue,
    /// About how many entries the stream of processed messages keeps; zero: all.
    max_len: u64,
    /// Where what the queue has lost is offered to it again.
    pub(crate) buffer: Buffer,
}

impl Recorder {
    /// For the stream of processed messages that is kept about so long (zero: for ever).
    pub(crate) fn new(queue: &ChunkQueue, max_len: u64, buffer: &Buffer) -> Self {
        Self {
            queue: queue.clone(),
            max_len,
            buffer: buffer.clone(),
        }
    }

    /// Writes; answers for each what came of it, in order.
    pub(crate) async fn write(&self, batch: Vec<Unsettled>) -> Vec<Written> {
        let mut written: Vec<_> = batch.iter().map(|_| None).collect();
        let mut alike: HashMap<_, Vec<(usize, Unsettled)>> = HashMap::new();
        for (place, unsettled) in batch.into_iter().enumerate() {
            let outcome = match unsettled.record {
                Record::Count(outcome) => Some(outcome),
                Record::Entry(_) => None,
            };
            let queue = unsettled.delivery.leased.at.queue.clone();
            let same = alike.entry((queue, outcome)).or_default();
            same.push((place, unsettled));
        }
        for ((queue, outcome), unsettled) in alike {
            let records = unsettled
                .iter()
                .map(|(_, one)| (one.delivery.leased.at.position, &one.record));
            let settlements = self.settle(&queue, outcome, records).await;
            let (mut settled, mut lost) = (Vec::new(), Vec::new());
            for ((place, one), settlement) in unsettled.into_iter().zip(settlements) {
                written[place] = Some(match settlement {
                    Ok(Settlement::Settled | Settlement::Before) => {
                        settled.push((one.delivery, one.ending));
                        Written::Settled
                    }
                    Ok(Settlement::Unknown) | Err(QueueError::Another { .. }) => {
                        match one.record {
                            // What the queue has lost, or had before it was made anew, is done all the same.
                            Record::Count(_) => {
                                settled.push((one.delivery, one.ending));
                                Written::Settled
                            }
                            Record::Entry(_) => {
                                lost.push(one.delivery);
                                Written::Lost
                            }
                        }
                    }
                    Err(cause) => Written::NotYet(Box::new(one), cause),
                });
            }
            Delivery::finish_all(settled);
            if !lost.is_empty() {
                Delivery::offer_again(lost, &self.buffer);
            }
        }
        written.into_iter().flatten().collect()
    }

    /// Settles messages of one queue that have one outcome, or entries.
    pub(crate) async fn settle(
        &self,
        queue: &QueueIdentity,
        outcome: Option<Outcome>,
        records: impl Iterator<Item = (Position, &Record)>,
    ) -> Vec<Result<Settlement, QueueError>> {
        match outcome {
            Some(outcome) => {
                let positions: Vec<_> = records.map(|(position, _)| position).collect();
                self.queue.settle(queue, outcome, &positions).await
            }
            None => {
                let entries = records.filter_map(|(position, record)| match record {
                    Record::Entry(fields) => Some((position, fields)),
                    Record::Count(_) => None,
                });
                let entries: Vec<_> = entries.collect();
                self.queue.commit(queue, self.max_len, &entries).await
            }
        }
    }
}
