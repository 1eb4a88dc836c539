//! One consumer of the group.

use std::sync::Arc;

use protocol::ConsumerId;
use tokio::{
    sync::mpsc::{self, error::TrySendError},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    consumer::{outlier::Standing, stats::Record, window::Window},
    delivery::Delivery,
};

/// A consumer with the way to its outbox.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) id: ConsumerId,
    pub(super) outbox: mpsc::Sender<Delivery>,
    pub(super) window: Arc<Window>,
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
    /// How much it has to do, and how much more it may be given.
    pub(crate) fn window(&self) -> &Window {
        &self.window
    }

    /// How many more messages it may be given.
    pub(crate) fn room(&self) -> usize {
        self.window.room().min(self.outbox.capacity())
    }

    /// Binds a message to it. Answers the message when it is gone, or has no room after all.
    #[must_use]
    pub(crate) fn give(&self, delivery: Delivery) -> Option<Delivery> {
        self.window.bind();
        let (TrySendError::Full(back) | TrySendError::Closed(back)) =
            self.outbox.try_send(delivery).err()?;
        self.window.release(1);
        Some(back)
    }
}
