//! Which consumer gets a message.

use std::sync::Arc;

use rand::{rngs::ThreadRng, seq::IteratorRandom};

use crate::{consumer::handle::ConsumerHandle, delivery::Delivery, dispatch::selection::Selection};

/// The outcome of handing over a delivery.
pub(super) enum Placement {
    /// It is bound to a consumer.
    Placed,
    /// None of the consumers it may go to has room.
    NoRoom(Box<Delivery>),
}

/// The consumers of one pass.
pub(super) struct Round {
    selection: Selection,
    /// All that may be picked.
    members: Vec<Arc<ConsumerHandle>>,
    /// Those that start at once on what they are given. Only when there are none…
    free: Vec<Roomy>,
    /// …those that have room for what they start on soon.
    ahead: Vec<Roomy>,
    random: ThreadRng,
}

#[derive(Debug, Clone, Copy)]
enum Among {
    Free,
    Ahead,
}

/// A consumer that has room.
#[derive(Debug, Clone, Copy)]
struct Roomy {
    /// Where it is in `members`.
    member: usize,
    /// How many more messages it may be given, and how many of those it starts on at once.
    room: usize,
    free: usize,
    /// How many it holds.
    held: usize,
}

impl Round {
    pub(super) fn new(members: Vec<Arc<ConsumerHandle>>, selection: Selection) -> Self {
        let roomy = members.iter().enumerate().map(|(place, member)| Roomy {
            member: place,
            room: member.room(),
            free: member.window.free(),
            held: member.window.held(),
        });
        let (free, ahead) = roomy
            .filter(|roomy| roomy.room > 0)
            .partition(|roomy| roomy.free > 0);
        Self {
            selection,
            free,
            ahead,
            members,
            random: rand::rng(),
        }
    }

    /// How many messages the consumers may be given.
    pub(super) fn room(&self) -> usize {
        let roomy = self.free.iter().chain(&self.ahead);
        roomy.map(|roomy| roomy.room).sum()
    }

    /// Binds a delivery to one of the consumers it has not been tried with yet; gives it back when none
    /// of them has room. Once all have been tried, all may be tried again.
    pub(super) fn place(&mut self, mut delivery: Delivery) -> Placement {
        let tried = &mut delivery.leased.tried;
        if !tried.is_empty() && self.members.iter().all(|member| tried.contains(&member.id)) {
            tried.clear();
        }
        for among in [Among::Free, Among::Ahead] {
            while let Some(at) = self.pick(among, &delivery) {
                let roomy = self.roomy(among).swap_remove(at);
                match self.members[roomy.member].give(delivery) {
                    None => {
                        self.put_back(roomy.with_one_more());
                        return Placement::Placed;
                    }
                    Some(back) => delivery = back,
                }
            }
        }
        Placement::NoRoom(Box::new(delivery))
    }

    fn roomy(&mut self, among: Among) -> &mut Vec<Roomy> {
        match among {
            Among::Free => &mut self.free,
            Among::Ahead => &mut self.ahead,
        }
    }

    fn put_back(&mut self, roomy: Roomy) {
        if roomy.room == 0 {
            return;
        }
        let among = if roomy.free > 0 {
            Among::Free
        } else {
            Among::Ahead
        };
        self.roomy(among).push(roomy);
    }

    /// A place among those, by the rule of selection.
    fn pick(&mut self, among: Among, delivery: &Delivery) -> Option<usize> {
        let roomy = match among {
            Among::Free => &self.free,
            Among::Ahead => &self.ahead,
        };
        let (members, tried) = (&self.members, &delivery.leased.tried);
        if tried.is_empty() {
            let held = |at: usize| roomy[at].held;
            return self.selection.pick(roomy.len(), held, &mut self.random);
        }
        // One of those it has not been tried with, whatever the rule: it is there for few.
        let places = roomy.iter().enumerate();
        let untried = places.filter(|(_, roomy)| !tried.contains(&members[roomy.member].id));
        let (at, _) = untried.choose(&mut self.random)?;
        Some(at)
    }
}

impl Roomy {
    fn with_one_more(self) -> Self {
        Self {
            member: self.member,
            room: self.room - 1,
            free: self.free.saturating_sub(1),
            held: self.held + 1,
        }
    }
}
