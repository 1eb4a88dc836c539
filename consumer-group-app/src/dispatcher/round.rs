//! Which consumer gets a message.

use rand::{rngs::ThreadRng, seq::IteratorRandom};
use tokio::sync::mpsc::error::TrySendError;

use crate::{consumer_group::Member, delivery::Delivery, selection::Selection};

/// What became of a wish to hand over a delivery.
pub(super) enum Placement {
    /// It waits in a consumer's outbox.
    Placed,
    /// None of the consumers it may go to has room.
    NoRoom(Delivery),
}

/// The consumers of one pass.
pub(super) struct Round {
    selection: Selection,
    /// All that may be picked.
    members: Vec<Member>,
    /// Those that have room.
    roomy: Vec<Roomy>,
    random: ThreadRng,
}

/// A consumer that has room.
#[derive(Debug, Clone, Copy)]
struct Roomy {
    /// Where it is in `members`.
    member: usize,
    /// How many more messages it may be given.
    room: usize,
    /// How many it has been given.
    outstanding: usize,
}

impl Round {
    pub(super) fn new(members: Vec<Member>, selection: Selection) -> Self {
        let roomy = members.iter().enumerate().map(|(place, member)| Roomy {
            member: place,
            room: member.room(),
            outstanding: member.outstanding(),
        });
        Self {
            selection,
            roomy: roomy.filter(|roomy| roomy.room > 0).collect(),
            members,
            random: rand::rng(),
        }
    }

    /// How many messages the outboxes would take.
    pub(super) fn room(&self) -> usize {
        self.roomy.iter().map(|roomy| roomy.room).sum()
    }

    /// Hands a delivery to one of the consumers it has not been tried with yet; gives it back when none
    /// of them has room. Once all have been tried, all may be tried again.
    pub(super) fn place(&mut self, mut delivery: Delivery) -> Placement {
        let tried = &mut delivery.held.tried;
        if !tried.is_empty() && self.members.iter().all(|member| tried.contains(&member.id)) {
            tried.clear();
        }
        while let Some(at) = self.pick(&delivery) {
            let roomy = &mut self.roomy[at];
            match self.members[roomy.member].outbox.try_send(delivery) {
                Ok(()) => {
                    roomy.room -= 1;
                    roomy.outstanding += 1;
                    if roomy.room == 0 {
                        self.roomy.swap_remove(at);
                    }
                    return Placement::Placed;
                }
                Err(TrySendError::Full(back) | TrySendError::Closed(back)) => delivery = back,
            }
            self.roomy.swap_remove(at);
        }
        Placement::NoRoom(delivery)
    }

    /// A place in `roomy`, by the rule of selection.
    fn pick(&mut self, delivery: &Delivery) -> Option<usize> {
        if !delivery.held.tried.is_empty() {
            return self.pick_untried(delivery);
        }
        let roomy = &self.roomy;
        let outstanding = |at: usize| roomy[at].outstanding;
        self.selection
            .pick(roomy.len(), outstanding, &mut self.random)
    }

    /// One of those the delivery has not been tried with, whatever the rule: it is there for few.
    fn pick_untried(&mut self, delivery: &Delivery) -> Option<usize> {
        let (members, tried) = (&self.members, &delivery.held.tried);
        let places = self.roomy.iter().enumerate();
        let untried = places.filter(|(_, roomy)| !tried.contains(&members[roomy.member].id));
        let (at, _) = untried.choose(&mut self.random)?;
        Some(at)
    }
}
