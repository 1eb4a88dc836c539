//! What becomes of the messages of a request that has ended, and what the sender learns of it.

use hyper::StatusCode;
use protocol::http::PROCESS_MESSAGES;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::{Attempt, FailedDelivery, Sender};
use crate::{
    consumer::{
        client::{DeliveryResponse, Outcomes},
        sweeps::Suspicion,
    },
    delivery::{Delivery, Ending, Outcome, Remaining},
};

/// A delivery that the consumer has done with.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) delivery: Delivery,
    pub(super) ending: Ending,
    pub(super) remaining: Remaining,
}

impl Sender {
    pub(super) async fn settle(&mut self, attempt: Attempt) {
        self.learn(&attempt);
        if attempt.reached_it() {
            self.consumer.stats.answered(attempt.took());
            let seconds = attempt.took().as_secs_f64();
            self.shared.request_seconds.observe(seconds);
        }
        let Attempt {
            deliveries,
            answered:
                DeliveryResponse {
                    outcomes,
                    connection,
                    room,
                    ..
                },
            begun,
            ..
        } = attempt;
        self.idle.extend(connection);
        let mut done = Vec::with_capacity(deliveries.len());
        match outcomes {
            Outcomes::NoBatches(status) => self.send_one_by_one(deliveries, status),
            Outcomes::All(Outcome::Delivered(remaining)) => {
                let outcome = Outcome::Delivered(remaining.clone());
                self.consumer.outlier.note(&outcome, begun);
                self.consumer.stats.note(&outcome, count(&deliveries));
                done.extend(deliveries.into_iter().map(|delivery| Done {
                    delivery,
                    ending: Ending::Processed,
                    remaining: remaining.clone(),
                }));
            }
            Outcomes::All(outcome) => {
                let failed = matches!(outcome, Outcome::Failed(_) | Outcome::TimedOut);
                let goes_alone = failed && deliveries.len() > 1;
                for mut delivery in deliveries {
                    delivery.leased.goes_alone |= goes_alone;
                    let returned = self.note(delivery, outcome.clone(), begun, &mut done);
                    self.give_back(returned).await;
                }
            }
            Outcomes::Each(outcomes) => {
                let is_done =
                    |outcome| matches!(outcome, &Outcome::Delivered(_) | &Outcome::Duplicate(_));
                if outcomes.iter().any(is_done) {
                    // First, so that its word counts for the others.
                    self.consumer
                        .outlier
                        .note(&Outcome::Delivered(Remaining::Settle), begun);
                }
                for (delivery, outcome) in deliveries.into_iter().zip(outcomes) {
                    let returned = self.note(delivery, outcome, begun, &mut done);
                    self.give_back(returned).await;
                }
            }
        }
        self.shared.budget.deposit(done.len());
        self.shared.settle(&self.consumer.id, done, room).await;
    }

    /// The consumer does not know requests of many messages: it gets these again, one by one.
    fn send_one_by_one(&mut self, deliveries: Vec<Delivery>, status: StatusCode) {
        info!(consumer.id = %self.consumer.id, %status,
            "the consumer does not take {PROCESS_MESSAGES}: it gets messages one by one");
        self.consumer.window.set_max_batch(None);
        for mut delivery in deliveries.into_iter().rev() {
            // A success may have processed it.
            if !status.is_success() {
                delivery.leased.undo_attempt();
            }
            self.consumer.window.bind();
            self.next.push_front(delivery);
        }
    }

    /// Learns from how an attempt went how much to give the consumer.
    fn learn(&mut self, attempt: &Attempt) {
        self.window
            .end(attempt.number, attempt.end(), attempt.ended);
        if !attempt.went_well() {
            self.was_away |= attempt.answered.connection.is_none() && !attempt.is_own_fault();
        } else if std::mem::take(&mut self.was_away) {
            self.window.start_anew();
            // It may have come back as another program: it is asked what it takes.
            self.have_checked();
        }
        self.notify_of_room();
    }

    /// Notes what became of one message; answers it when it has to be tried elsewhere.
    fn note(
        &mut self,
        mut delivery: Delivery,
        outcome: Outcome,
        begun: Instant,
        done: &mut Vec<Done>,
    ) -> Option<FailedDelivery> {
        self.consumer.stats.note(&outcome, 1);
        if self.consumer.outlier.note(&outcome, begun) {
            self.leave_out(&outcome);
        }
        let leased = &mut delivery.leased;
        let (ending, remaining) = match outcome {
            Outcome::Delivered(remaining) => (Ending::Processed, remaining),
            Outcome::Duplicate(remaining) if leased.may_have_been_processed() => {
                (Ending::Processed, remaining)
            }
            Outcome::Duplicate(remaining) => (Ending::Duplicate, remaining),
            Outcome::UnknownPosition => {
                self.shared.offer_again(delivery);
                return None;
            }
            _ => {
                leased.note_failure(Some(&self.consumer.id), &outcome);
                debug!(message.id = %leased.message.id(), consumer.id = %self.consumer.id,
                    attempt = leased.attempts, error = leased.last_error, "an attempt failed");
                return Some(FailedDelivery {
                    delivery,
                    outcome,
                    is_proven: self.consumer.outlier.is_proven(),
                });
            }
        };
        done.push(Done {
            delivery,
            ending,
            remaining,
        });
        None
    }

    async fn give_back(&self, returned: Option<FailedDelivery>) {
        if let Some(returned) = returned {
            // An error means that the dispatcher is gone; the delivery then goes back to the queue.
            drop(self.shared.failed.send(returned).await);
        }
    }

    /// The consumer was ejected.
    fn leave_out(&mut self, outcome: &Outcome) {
        let cause = outcome.describe();
        warn!(consumer.id = %self.consumer.id, cause, "the consumer is left out for a while");
        self.consumer.stats.ejected();
        self.was_away = true;
        self.drop_waiting();
        if *outcome == Outcome::Gone {
            self.suspect(Suspicion::Gone(self.consumer.id.clone()));
        } else {
            self.have_checked();
        }
    }

    /// Has the consumer's health checked.
    fn have_checked(&self) {
        self.suspect(Suspicion::Failed(self.consumer.id.clone()));
    }

    fn suspect(&self, suspicion: Suspicion) {
        // A full channel means that many are waiting for that; it will be suspected again.
        let _nudged = self.shared.suspects.try_send(suspicion);
    }
}

fn count(deliveries: &[Delivery]) -> u64 {
    u64::try_from(deliveries.len()).unwrap_or(u64::MAX)
}
