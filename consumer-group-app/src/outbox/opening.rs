//! Opens an outbox for each consumer.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use protocol::ConsumerId;
use service_kit::{metrics::Histogram, supervisor::Supervisor};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{Outbox, Returned};
use crate::{
    concurrency_limit::{self, ConcurrencyLimit},
    consumer_client::{ConsumerClient, Target},
    delivery::{Delivery, Ending},
    flow::Flow,
    record::Record,
    retry::RetryBudget,
    settler::Settling,
    standing::Standing,
};

/// How many messages wait in an outbox at the most, whatever its consumer takes.
const WAITING: usize = 4096;

/// What every outbox uses.
#[derive(Debug, Clone)]
pub(crate) struct Outboxes {
    pub(crate) client: ConsumerClient,
    pub(crate) budget: Arc<RetryBudget>,
    /// Where what was processed goes with the durable queue; without, it is finished with.
    pub(crate) settlements: Option<mpsc::Sender<Settling>>,
    pub(crate) returns: mpsc::Sender<Returned>,
    pub(crate) suspects: mpsc::Sender<ConsumerId>,
    pub(crate) request_seconds: Histogram,
    pub(crate) room: Arc<Notify>,
    pub(crate) supervisor: Supervisor,
    pub(crate) stop: CancellationToken,
    pub(crate) rules: Rules,
}

/// An outbox as others see it.
#[derive(Debug, Clone)]
pub(crate) struct Opened {
    /// Where messages for the consumer go.
    pub(crate) outbox: mpsc::Sender<Delivery>,
    pub(crate) flow: Arc<Flow>,
    pub(crate) standing: Arc<Standing>,
    pub(crate) record: Arc<Record>,
}

/// What the operator says about deliveries.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// How many requests may be under way to one consumer.
    pub(crate) max_in_flight: usize,
    /// How many messages one request may carry, whatever the consumer says.
    pub(crate) max_batch: usize,
    /// How long a request may take.
    pub(crate) attempt_timeout: Duration,
}

impl Outboxes {
    /// Ends deliveries that a consumer has done with.
    pub(super) async fn settle(&self, settled: Vec<(Delivery, Ending)>) {
        let Some(settlements) = &self.settlements else {
            return Delivery::finish_all(settled);
        };
        // An error means that the settler is gone; the deliveries then go back to the queue.
        drop(settlements.send(Settling(settled)).await);
    }

    /// Opens an outbox for a consumer; it ends, once empty, with `left`.
    pub(crate) fn open(&self, consumer: &ConsumerId, left: CancellationToken) -> Opened {
        let (sender, waiting) = mpsc::channel(WAITING);
        let flow = Arc::new(Flow::new(concurrency_limit::START));
        let standing = Arc::new(Standing::default());
        let record = Arc::new(Record::default());
        let opened = Opened {
            outbox: sender,
            flow: Arc::clone(&flow),
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
        let Rules {
            max_in_flight,
            attempt_timeout,
            ..
        } = self.rules;
        let outbox = Outbox {
            consumer: consumer.clone(),
            target,
            flow,
            standing,
            record,
            limit: ConcurrencyLimit::new(max_in_flight, attempt_timeout),
            waiting,
            next: VecDeque::new(),
            requests: 0,
            messages: 0,
            was_away: false,
            idle: Vec::new(),
            shared: self.clone(),
        };
        self.supervisor
            .spawn(format!("outbox {consumer}"), left, outbox);
        opened
    }
}
