//! What workers say of the messages they have fetched.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use protocol::{
    Position,
    http::leases::{LeaseOutcome, LeaseResult},
    lease::LeaseToken,
};
use redis_bus::chunk_queue::{LeaseRecord, QueueError};
use tokio::time::Instant;
use tracing::debug;

use super::{Leasing, held::Held, workers::Workers};
use crate::{
    consumer::{client::of_lease, sender::FailedDelivery},
    delivery::{Delivery, Ending, Outcome, Remaining},
    queue::recorder::{Record, Unsettled, Written},
};

/// What a worker says that a message came to.
#[derive(Debug)]
pub(crate) struct CameTo {
    pub(super) token: LeaseToken,
    pub(super) outcome: Outcome,
    /// As it was said.
    pub(super) json: String,
    /// What cannot be recorded, though it is said to be a success.
    unsuited: Option<String>,
}

impl CameTo {
    /// Reads it.
    ///
    /// # Errors
    /// When it is none; the error names what is wrong.
    pub(crate) fn read(json: &str) -> serde_json::Result<Self> {
        let said: LeaseOutcome<'_> = serde_json::from_str(json)?;
        let token = said.lease.clone();
        let is_success = (200..300).contains(&said.status);
        let outcome = of_lease(said);
        let unsuited = match &outcome {
            Outcome::Failed(why) if is_success => Some(why.clone()),
            _ => None,
        };
        Ok(Self {
            token,
            outcome,
            json: json.to_owned(),
            unsuited,
        })
    }

    pub(super) fn is_done(&self) -> bool {
        is_done(&self.outcome)
    }

    /// What is answered when it was taken note of, and the message comes again.
    pub(super) fn noted(&self) -> LeaseResult {
        match &self.unsuited {
            Some(why) => result(422, why),
            None => done(),
        }
    }
}

fn is_done(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Delivered(_) | Outcome::Duplicate(_))
}

pub(super) fn done() -> LeaseResult {
    LeaseResult {
        status: 200,
        error: None,
    }
}

pub(super) fn ended() -> LeaseResult {
    let why = "the lease has ended, or its message was settled";
    result(409, why)
}

pub(super) fn lost() -> LeaseResult {
    let why = "the queue has lost the message; nothing is recorded, and it comes again";
    result(412, why)
}

pub(super) fn again() -> LeaseResult {
    let why = "Redis does not answer; the lease goes on, say it again";
    result(503, why)
}

fn result(status: u16, why: &str) -> LeaseResult {
    LeaseResult {
        status,
        error: Some(why.to_owned()),
    }
}

/// What is to be written of a message that is done, and what it is counted as.
fn record(held: &Held, outcome: Outcome) -> (Record, Ending) {
    let leased = &held.delivery.leased;
    match outcome {
        Outcome::Delivered(Remaining::Record(entry)) => {
            let (id, worker) = (leased.message.id().as_str(), held.worker.name());
            let entry = entry.fields(id, worker, SystemTime::now());
            (Record::Entry(entry), Ending::Processed)
        }
        Outcome::Duplicate(_) if !leased.may_have_been_processed() => {
            (Record::count(Ending::Duplicate), Ending::Duplicate)
        }
        _ => (Record::count(Ending::Processed), Ending::Processed),
    }
}

impl Leasing {
    /// Settles messages; answers for each what became of it, in order.
    pub(crate) async fn settle(&self, all: Vec<CameTo>) -> Vec<LeaseResult> {
        let mut results: Vec<_> = all.iter().map(|_| None).collect();
        let (mut well, mut failed, mut foreign) = (Vec::new(), Vec::new(), Vec::new());
        for (place, came_to) in all.into_iter().enumerate() {
            let Some(held) = self.0.held.take(&came_to.token) else {
                foreign.push((place, came_to));
                continue;
            };
            Workers::note(&held.worker, &came_to.outcome);
            if came_to.is_done() {
                well.push((place, held, came_to.outcome));
            } else {
                results[place] = Some(came_to.noted());
                failed.push((held, came_to.outcome));
            }
        }
        for (place, result) in self.settle_well(well).await {
            results[place] = Some(result);
        }
        self.give_back_all(failed).await;
        for (place, result) in self.settle_foreign(foreign).await {
            results[place] = Some(result);
        }
        results.into_iter().flatten().collect()
    }

    /// Records what is done.
    async fn settle_well(&self, well: Vec<(usize, Held, Outcome)>) -> Vec<(usize, LeaseResult)> {
        if well.is_empty() {
            return Vec::new();
        }
        let (mut batch, mut leases) = (Vec::new(), Vec::new());
        for (place, held, outcome) in well {
            let (record, ending) = record(&held, outcome);
            leases.push((
                place,
                held.position(),
                held.fence,
                Arc::clone(&held.worker),
                held.until,
                held.had_company,
            ));
            batch.push(Unsettled {
                delivery: held.delivery,
                ending,
                record,
            });
        }
        let written = self.0.recorder.write(batch).await;
        let (mut results, mut over) = (Vec::new(), Vec::new());
        for ((place, position, fence, worker, until, had_company), written) in
            leases.into_iter().zip(written)
        {
            let result = match written {
                Written::Settled => done(),
                Written::Lost => lost(),
                Written::NotYet(unsettled, cause) => {
                    debug!(%cause, "cannot settle what a worker fetched; it is asked to say it again");
                    self.0.held.put(Held {
                        fence,
                        worker,
                        until,
                        had_company,
                        delivery: unsettled.delivery,
                    });
                    results.push((place, again()));
                    continue;
                }
            };
            worker.release(1);
            over.push(position);
            results.push((place, result));
        }
        self.0.budget.deposit(over.len());
        self.forget(&over).await;
        results
    }

    /// Gives back messages whose workers failed, or did not come back in time.
    pub(super) async fn give_back_all(&self, failed: Vec<(Held, Outcome)>) {
        let positions: Vec<_> = failed.iter().map(|(held, _)| held.position()).collect();
        self.forget(&positions).await;
        for (held, outcome) in failed {
            held.worker.release(1);
            let mut delivery = held.delivery;
            // It may have made its worker fail.
            delivery.leased.goes_alone |= held.had_company && outcome == Outcome::TimedOut;
            self.give_back(delivery, outcome).await;
        }
    }

    /// Has the dispatcher decide what becomes of a message that failed.
    pub(super) async fn give_back(&self, mut delivery: Delivery, outcome: Outcome) {
        delivery.take_up();
        if outcome == Outcome::UnknownPosition {
            Delivery::offer_again(vec![delivery], &self.0.recorder.buffer);
            return;
        }
        delivery.leased.note_failure(None, &outcome);
        let failed = FailedDelivery {
            delivery,
            outcome,
            is_proven: true,
        };
        // An error means that the dispatcher is gone; the delivery then goes back to the queue.
        drop(self.0.failed.send(failed).await);
    }

    /// Deletes the notes of leases that are over.
    pub(super) async fn forget(&self, positions: &[Position]) {
        if let Err(cause) = self.0.recorder.queue.end_leases(positions).await {
            debug!(%cause, "cannot delete the notes of leases; they end by themselves");
        }
    }

    /// Has leases last so long from now on; answers for each whether they do, in order.
    pub(crate) async fn extend(
        &self,
        tokens: Vec<LeaseToken>,
        lasts: Duration,
    ) -> Result<Vec<LeaseResult>, QueueError> {
        let until = Instant::now() + lasts;
        let mut records = Vec::with_capacity(tokens.len());
        let (mut results, mut foreign) = (vec![done(); tokens.len()], Vec::new());
        for (place, token) in tokens.into_iter().enumerate() {
            match self.0.held.extend(&token, until) {
                Some((worker, message_id)) => {
                    let record = LeaseRecord {
                        fence: token.fence,
                        worker: worker.name().to_owned(),
                        message_id,
                    };
                    records.push((token.position, record));
                }
                None => foreign.push((place, token)),
            }
        }
        for (place, token, record) in self.look_up(foreign).await? {
            match record {
                Some(record) => records.push((token.position, record)),
                None => results[place] = ended(),
            }
        }
        self.0.recorder.queue.lease(&records, lasts).await?;
        Ok(results)
    }
}
