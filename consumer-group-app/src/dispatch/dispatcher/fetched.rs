//! What goes to workers that fetch their messages.

use crate::{delivery::Delivery, leasing::Leasing};

/// The messages of one pass that go to such workers.
#[derive(Debug)]
pub(super) struct Fetched {
    wanted: usize,
    deliveries: Vec<Delivery>,
}

impl Fetched {
    pub(super) fn new(leasing: &Leasing) -> Self {
        Self {
            wanted: leasing.wanted(),
            deliveries: Vec::new(),
        }
    }

    /// How many more are wanted.
    pub(super) fn room(&self) -> usize {
        self.wanted.saturating_sub(self.deliveries.len())
    }

    /// How many of so many messages go there, when there is `room` for others elsewhere: as large a part as is wanted of
    /// all that may be given.
    pub(super) fn share(&self, messages: usize, room: usize) -> usize {
        let wanted = self.room();
        if wanted == 0 {
            return 0;
        }
        // Of a single message each has a chance, too.
        let chance = rand::random_range(0..wanted + room);
        ((messages * wanted + chance) / (wanted + room)).min(messages)
    }

    pub(super) fn push(&mut self, delivery: Delivery) {
        self.deliveries.push(delivery);
    }

    /// Gives them to those who ask; answers what nobody took.
    pub(super) fn give(self, leasing: &Leasing) -> Vec<Delivery> {
        match self.deliveries.is_empty() {
            true => Vec::new(),
            false => leasing.give(self.deliveries),
        }
    }
}
