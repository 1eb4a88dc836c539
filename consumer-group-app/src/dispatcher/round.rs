//! Which consumer gets a message.

use protocol::ConsumerId;
use rand::seq::IteratorRandom;
use tokio::sync::mpsc::error::TrySendError;

use crate::{consumer_group::Member, delivery::Delivery};

/// What became of a wish to hand over a delivery.
pub(super) enum Placement {
    /// It waits in a consumer's outbox.
    Placed,
    /// None of the consumers it may go to has room.
    NoRoom(Delivery),
}

/// The consumers of one pass.
pub(super) struct Round {
    /// All that may be picked.
    members: Vec<Member>,
    /// Where in `members` those are that have shown no lack of room yet.
    roomy: Vec<usize>,
}

impl Round {
    pub(super) fn new(members: Vec<Member>) -> Self {
        let has_room = |place: &usize| members[*place].outbox.capacity() > 0;
        let roomy = (0..members.len()).filter(has_room).collect();
        Self { members, roomy }
    }

    /// How many messages the outboxes would take.
    pub(super) fn room(&self) -> usize {
        self.roomy
            .iter()
            .map(|place| self.members[*place].outbox.capacity())
            .sum()
    }

    /// Hands a delivery to a consumer drawn uniformly from those not tried yet; gives it back when
    /// none of them has room. Once all have been tried, all may be tried again.
    pub(super) fn place(&mut self, mut delivery: Delivery) -> Placement {
        let tried = &mut delivery.held.tried;
        if !tried.is_empty() && self.members.iter().all(|member| tried.contains(&member.id)) {
            tried.clear();
        }
        while let Some(at) = self.draw(&delivery.held.tried) {
            let member = &self.members[self.roomy[at]];
            delivery = match member.outbox.try_send(delivery) {
                Ok(()) => return Placement::Placed,
                Err(TrySendError::Full(delivery) | TrySendError::Closed(delivery)) => delivery,
            };
            self.roomy.swap_remove(at);
        }
        Placement::NoRoom(delivery)
    }

    /// A place in `roomy`, drawn uniformly among the untried.
    fn draw(&self, tried: &[ConsumerId]) -> Option<usize> {
        let is_untried = |at: &usize| !tried.contains(&self.members[self.roomy[*at]].id);
        if tried.is_empty() {
            (0..self.roomy.len()).choose(&mut rand::rng())
        } else {
            (0..self.roomy.len())
                .filter(is_untried)
                .choose(&mut rand::rng())
        }
    }
}
