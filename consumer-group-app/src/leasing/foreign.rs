//! What is said of messages that this replica does not have in hand: another has them, or had.

use std::{collections::HashMap, time::SystemTime};

use protocol::{Position, http::leases::LeaseResult, lease::LeaseToken};
use redis_bus::chunk_queue::{self, LeaseNote, LeaseRecord, QueueError, Settlement};
use tracing::debug;

use super::{
    CameTo, Leasing,
    settling::{again, done, ended, lost},
};
use crate::{
    delivery::{Ending, Outcome, Remaining},
    queue::recorder::Record,
};

impl Leasing {
    /// The leases of these tokens as they stand in Redis; none for those that have ended.
    pub(super) async fn look_up(
        &self,
        tokens: Vec<(usize, LeaseToken)>,
    ) -> Result<Vec<(usize, LeaseToken, Option<LeaseRecord>)>, QueueError> {
        let positions: Vec<_> = tokens.iter().map(|(_, token)| token.position).collect();
        let notes = self.0.recorder.queue.lease_notes(&positions).await?;
        let each = tokens.into_iter().zip(notes);
        let found = each.map(|((place, token), note)| {
            let record = match note {
                Some(LeaseNote::Leased(record)) if record.fence == token.fence => Some(record),
                _ => None,
            };
            (place, token, record)
        });
        Ok(found.collect())
    }

    /// Records what is done; notes the rest for whoever has the message in hand.
    pub(super) async fn settle_foreign(
        &self,
        foreign: Vec<(usize, CameTo)>,
    ) -> Vec<(usize, LeaseResult)> {
        let tokens = foreign.iter();
        let tokens = tokens.map(|(place, came_to)| (*place, came_to.token.clone()));
        let found = match self.look_up(tokens.collect()).await {
            Ok(found) => found,
            Err(cause) => {
                debug!(%cause, "cannot look up leases of other replicas");
                return foreign.iter().map(|(place, _)| (*place, again())).collect();
            }
        };
        let (mut results, mut notes) = (Vec::new(), Vec::new());
        let mut alike: HashMap<_, Vec<(usize, Position, Record)>> = HashMap::new();
        for ((place, came_to), (_, token, record)) in foreign.into_iter().zip(found) {
            let Some(record) = record else {
                results.push((place, ended()));
                continue;
            };
            if came_to.is_done() {
                let (outcome, record) = to_write(came_to.outcome, &record);
                let same = alike.entry((token.queue, outcome)).or_default();
                same.push((place, token.position, record));
            } else {
                results.push((place, came_to.noted()));
                notes.push((token.position, LeaseNote::CameTo(came_to.json)));
            }
        }
        for ((queue, outcome), all) in alike {
            let records = all.iter().map(|(_, position, record)| (*position, record));
            let settlements = self.0.recorder.settle(&queue, outcome, records).await;
            for ((place, position, _), settlement) in all.into_iter().zip(settlements) {
                let result = match settlement {
                    Ok(Settlement::Settled | Settlement::Before) => {
                        notes.push((position, LeaseNote::Settled));
                        done()
                    }
                    Ok(Settlement::Unknown) | Err(QueueError::Another { .. }) => lost(),
                    Err(_) => again(),
                };
                results.push((place, result));
            }
        }
        if let Err(cause) = self.0.recorder.queue.note_for_holders(notes).await {
            debug!(%cause, "cannot tell other replicas what workers said; the leases end by themselves");
        }
        results
    }
}

fn to_write(outcome: Outcome, record: &LeaseRecord) -> (Option<chunk_queue::Outcome>, Record) {
    match outcome {
        Outcome::Delivered(Remaining::Record(entry)) => {
            let fields = entry.fields(&record.message_id, &record.worker, SystemTime::now());
            (None, Record::Entry(fields))
        }
        Outcome::Duplicate(_) => counted(Ending::Duplicate),
        _ => counted(Ending::Processed),
    }
}

fn counted(ending: Ending) -> (Option<chunk_queue::Outcome>, Record) {
    let record = Record::count(ending);
    let Record::Count(outcome) = record else {
        return (None, record);
    };
    (Some(outcome), record)
}
