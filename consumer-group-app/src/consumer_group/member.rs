//! One consumer of the group.

use std::sync::Arc;

use protocol::ConsumerId;
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{delivery::Delivery, flow::Flow, record::Record, standing::Standing};

/// A consumer with the way to its outbox.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) id: ConsumerId,
    pub(crate) outbox: mpsc::Sender<Delivery>,
    pub(super) flow: Arc<Flow>,
    pub(super) standing: Arc<Standing>,
    pub(super) record: Arc<Record>,
    pub(super) left: CancellationToken,
    pub(super) since: Instant,
    /// Whether its health check was answered well since it joined. Until then it is given nothing.
    pub(super) has_answered: bool,
    /// Whether it should be asked now.
    pub(super) is_to_be_asked: bool,
}

impl Member {
    /// How many messages the consumer has been given, or will be as soon as it may.
    pub(crate) fn outstanding(&self) -> usize {
        self.flow.under_way() + self.waiting()
    }

    /// How many more it may be given.
    pub(crate) fn room(&self) -> usize {
        self.flow.room(self.waiting()).min(self.outbox.capacity())
    }

    fn waiting(&self) -> usize {
        self.outbox.max_capacity() - self.outbox.capacity()
    }
}
