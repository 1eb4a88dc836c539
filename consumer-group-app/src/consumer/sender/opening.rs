//! Opens an outbox for each consumer.

use std::{collections::VecDeque, sync::Arc};

use protocol::ConsumerId;
use service_kit::{metrics::Histogram, supervisor::Supervisor};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{Outbox, Returned};
use crate::{
    consumer::{
        client::{ConsumerClient, Target},
        outlier::Standing,
        stats::Record,
        window::{Most, Window, WindowControl},
    },
    delivery::{Delivery, Ending, Settled},
    dispatch::retry::RetryBudget,
    intake::Buffer,
    queue::settler::Settling,
};

/// How many messages wait in an outbox at the most, whatever its consumer takes.
const WAITING: usize = 4096;

/// What every outbox uses.
#[derive(Debug, Clone)]
pub(crate) struct Outboxes {
    pub(crate) client: ConsumerClient,
    pub(crate) budget: Arc<RetryBudget>,
    /// Where what was processed and not settled goes.
    pub(crate) settlements: mpsc::Sender<Settling>,
    /// Where what the queue has lost is offered to it again.
    pub(crate) buffer: Buffer,
    pub(crate) returns: mpsc::Sender<Returned>,
    pub(crate) suspects: mpsc::Sender<ConsumerId>,
    pub(crate) request_seconds: Histogram,
    pub(crate) room: Arc<Notify>,
    pub(crate) supervisor: Supervisor,
    pub(crate) stop: CancellationToken,
    pub(crate) most: Most,
}

/// An outbox as others see it.
#[derive(Debug, Clone)]
pub(crate) struct Opened {
    /// Where messages for the consumer go.
    pub(crate) outbox: mpsc::Sender<Delivery>,
    pub(crate) window: Arc<Window>,
    pub(crate) standing: Arc<Standing>,
    pub(crate) record: Arc<Record>,
}

impl Outboxes {
    /// Ends deliveries that a consumer has done with; those that it did not settle go to the settler.
    pub(super) async fn settle(&self, done: Vec<(Delivery, Ending, Settled)>) {
        let (mut settled, mut not_yet) = (Vec::with_capacity(done.len()), Vec::new());
        for (delivery, ending, by) in done {
            let kind = match by {
                Settled::ByConsumer => &mut settled,
                Settled::NotYet => &mut not_yet,
            };
            kind.push((delivery, ending));
        }
        Delivery::finish_all(settled);
        if !not_yet.is_empty() {
            // An error means that the settler is gone; the deliveries then go back to the queue.
            drop(self.settlements.send(Settling(not_yet)).await);
        }
    }

    /// Has a message that the queue has lost offered to it again.
    pub(super) fn offer_again(&self, delivery: Delivery) {
        Delivery::offer_again(vec![delivery], &self.buffer);
    }

    /// Opens an outbox for a consumer; it ends, once empty, with `left`.
    pub(crate) fn open(&self, consumer: &ConsumerId, left: CancellationToken) -> Opened {
        let (sender, waiting) = mpsc::channel(WAITING);
        let window = Arc::new(Window::default());
        let standing = Arc::new(Standing::default());
        let record = Arc::new(Record::default());
        let opened = Opened {
            outbox: sender,
            window: Arc::clone(&window),
            standing: Arc::clone(&standing),
            record: Arc::clone(&record),
        };
        let target = match Target::new(consumer) {
            Ok(target) => target,
            Err(error) => {
                // The receiver is gone with this return, so the consumer is never picked.
                warn!(consumer.id = %consumer, %error, "the consumer cannot be addressed");
                return opened;
            }
        };
        let outbox = Outbox {
            consumer: consumer.clone(),
            target,
            window: WindowControl::new(window, self.most),
            standing,
            record,
            waiting,
            next: VecDeque::new(),
            was_away: false,
            idle: Vec::new(),
            shared: self.clone(),
        };
        self.supervisor
            .spawn(format!("outbox {consumer}"), left, outbox);
        opened
    }
}
