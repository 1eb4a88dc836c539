//! One consumer of the group, shared by all who deal with it.

use std::sync::Arc;

use protocol::ConsumerId;
use tokio::sync::mpsc::{self, error::TrySendError};

use crate::{
    consumer::{outlier::OutlierDetector, stats::ConsumerStats, window::Window},
    delivery::Delivery,
};

/// All that is known of one consumer: its sender writes it, everyone else reads it.
#[derive(Debug)]
pub(crate) struct ConsumerHandle {
    pub(crate) id: ConsumerId,
    /// How much it has to do, and how much more it may be given.
    pub(crate) window: Arc<Window>,
    /// Whether it may be picked.
    pub(crate) outlier: OutlierDetector,
    pub(crate) stats: ConsumerStats,
    /// To its sender.
    messages: mpsc::Sender<Delivery>,
}

impl ConsumerHandle {
    pub(super) fn new(id: ConsumerId, messages: mpsc::Sender<Delivery>) -> Self {
        Self {
            id,
            window: Arc::default(),
            outlier: OutlierDetector::default(),
            stats: ConsumerStats::default(),
            messages,
        }
    }

    /// How many more messages it may be given.
    pub(crate) fn room(&self) -> usize {
        self.window.room().min(self.messages.capacity())
    }

    /// Binds a message to it. Answers the message when it is gone, or has no room after all.
    #[must_use]
    pub(crate) fn give(&self, delivery: Delivery) -> Option<Delivery> {
        self.window.bind();
        let (TrySendError::Full(back) | TrySendError::Closed(back)) =
            self.messages.try_send(delivery).err()?;
        self.window.release(1);
        Some(back)
    }
}
