//! Starts a sender for each consumer.

use std::{collections::VecDeque, sync::Arc, time::SystemTime};

use protocol::ConsumerId;
use service_kit::{metrics::Histogram, supervisor::Supervisor};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, mpsc},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::{FailedDelivery, Sender, settling::Done};
use crate::{
    consumer::{
        client::{ConsumerClient, Target},
        handle::ConsumerHandle,
        sweeps::Suspicion,
        window::{Most, WindowControl},
    },
    delivery::{Delivery, Remaining},
    dispatch::retry_budget::RetryBudget,
    intake::Buffer,
    queue::{
        recorder::{Record, Unsettled},
        settler::Settling,
    },
};

/// How many messages wait in a sender at the most, whatever its consumer takes.
const WAITING: usize = 4096;

/// What every sender uses.
#[derive(Debug, Clone)]
pub(crate) struct Senders {
    pub(crate) client: ConsumerClient,
    pub(crate) budget: Arc<RetryBudget>,
    /// Where what was processed and not settled goes.
    pub(crate) settlements: mpsc::Sender<Settling>,
    /// Where what the queue has lost is offered to it again.
    pub(crate) buffer: Buffer,
    pub(crate) failed: mpsc::Sender<FailedDelivery>,
    pub(crate) suspects: mpsc::Sender<Suspicion>,
    pub(crate) request_seconds: Histogram,
    pub(crate) room: Arc<Notify>,
    pub(crate) supervisor: Supervisor,
    pub(crate) stop: CancellationToken,
    pub(crate) most: Most,
}

impl Senders {
    /// Ends deliveries that a consumer has done with; those that it did not settle go to the settler.
    pub(super) async fn settle(
        &self,
        consumer: &ConsumerId,
        done: Vec<Done>,
        room: Option<OwnedSemaphorePermit>,
    ) {
        let (mut settled, mut not_yet) = (Vec::with_capacity(done.len()), Vec::new());
        let now = SystemTime::now();
        for Done {
            delivery,
            ending,
            remaining,
        } in done
        {
            let record = match remaining {
                Remaining::Nothing => {
                    settled.push((delivery, ending));
                    continue;
                }
                Remaining::Settle => Record::count(ending),
                Remaining::Record(entry) => {
                    let id = delivery.leased.message.id().as_str();
                    Record::Entry(entry.fields(id, consumer.as_str(), now))
                }
            };
            not_yet.push(Unsettled {
                delivery,
                ending,
                record,
            });
        }
        Delivery::finish_all(settled);
        if !not_yet.is_empty() {
            // An error means that the settler is gone; the deliveries then go back to the queue.
            let settling = Settling {
                unsettled: not_yet,
                room,
            };
            drop(self.settlements.send(settling).await);
        }
    }

    /// Has a message that the queue has lost offered to it again.
    pub(super) fn offer_again(&self, delivery: Delivery) {
        Delivery::offer_again(vec![delivery], &self.buffer);
    }

    /// Starts the sender of a consumer; it ends, once it has nothing left, with `left`.
    pub(crate) fn start(
        &self,
        consumer: &ConsumerId,
        left: CancellationToken,
    ) -> (Arc<ConsumerHandle>, JoinHandle<()>) {
        let (messages, waiting) = mpsc::channel(WAITING);
        let consumer = Arc::new(ConsumerHandle::new(consumer.clone(), messages));
        let sender = Sender {
            target: Target::new(&consumer.id),
            window: WindowControl::new(Arc::clone(&consumer.window), self.most),
            consumer: Arc::clone(&consumer),
            waiting,
            next: VecDeque::new(),
            was_away: false,
            idle: Vec::new(),
            shared: self.clone(),
        };
        let name = format!("sender to {}", consumer.id);
        (consumer, self.supervisor.spawn(name, left, sender))
    }
}
