//! The order of mishaps, from a seed.

use std::{ops::RangeInclusive, time::Duration};

use local_stack::Fault;
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};

use super::{Link, Mishap, PUSHED_TO, Process, REPLICAS};

/// How long a process is away, and how long one is frozen: for longer, too, than the queue waits
/// for a sign of life (15 s).
const AWAY_MS: RangeInclusive<u64> = 0..=3_000;
const FROZEN_MS: RangeInclusive<u64> = 1_000..=20_000;

/// How long Redis is frozen, and how long anything else lasts.
const REDIS_FROZEN_MS: RangeInclusive<u64> = 1_000..=10_000;
const LASTS_MS: RangeInclusive<u64> = 1_000..=8_000;

/// The kinds of mishaps. Each comes once before any comes again; networks are bad more often.
#[derive(Debug, Clone, Copy)]
enum Kind {
    KillReplica,
    TerminateReplica,
    FreezeReplica,
    KillPushed,
    TerminatePushed,
    FreezePushed,
    KillPuller,
    TerminatePuller,
    FreezePuller,
    ReplicaToRedis,
    ConsumerToRedis,
    GroupToConsumer,
    CutSubscriber,
    FlushScripts,
    FillMemory,
    FreezeRedis,
    KillRedis,
}

impl Kind {
    const ALL: [Self; 20] = [
        Self::KillReplica,
        Self::TerminateReplica,
        Self::FreezeReplica,
        Self::KillPushed,
        Self::TerminatePushed,
        Self::FreezePushed,
        Self::KillPuller,
        Self::TerminatePuller,
        Self::FreezePuller,
        Self::ReplicaToRedis,
        Self::ReplicaToRedis,
        Self::ConsumerToRedis,
        Self::ConsumerToRedis,
        Self::GroupToConsumer,
        Self::GroupToConsumer,
        Self::CutSubscriber,
        Self::FlushScripts,
        Self::FillMemory,
        Self::FreezeRedis,
        Self::KillRedis,
    ];
}

/// Draws mishaps, for ever; the same ones for the same seed.
#[derive(Debug)]
pub(in crate::soak) struct Deck {
    rng: StdRng,
    kinds: Vec<Kind>,
}

impl Deck {
    pub(in crate::soak) fn new(seed: u64) -> Self {
        Self {
            rng: StdRng::seed_from_u64(seed),
            kinds: Vec::new(),
        }
    }

    pub(in crate::soak) fn draw(&mut self) -> Mishap {
        let kind = self.kinds.pop().unwrap_or_else(|| {
            self.kinds = Kind::ALL.to_vec();
            self.kinds.shuffle(&mut self.rng);
            self.kinds.pop().unwrap_or(Kind::KillReplica)
        });
        self.of(kind)
    }

    fn of(&mut self, kind: Kind) -> Mishap {
        match kind {
            Kind::KillReplica => Mishap::Kill(self.replica(), self.millis(AWAY_MS)),
            Kind::TerminateReplica => Mishap::Terminate(self.replica(), self.millis(AWAY_MS)),
            Kind::FreezeReplica => Mishap::Freeze(self.replica(), self.millis(FROZEN_MS)),
            Kind::KillPushed => Mishap::Kill(self.pushed(), self.millis(AWAY_MS)),
            Kind::TerminatePushed => Mishap::Terminate(self.pushed(), self.millis(AWAY_MS)),
            Kind::FreezePushed => Mishap::Freeze(self.pushed(), self.millis(FROZEN_MS)),
            Kind::KillPuller => Mishap::Kill(Process::Puller, self.millis(AWAY_MS)),
            Kind::TerminatePuller => Mishap::Terminate(Process::Puller, self.millis(AWAY_MS)),
            Kind::FreezePuller => Mishap::Freeze(Process::Puller, self.millis(FROZEN_MS)),
            Kind::ReplicaToRedis => {
                let link = Link::ToRedis(self.replica());
                self.network(link)
            }
            Kind::ConsumerToRedis => {
                let place = self.rng.random_range(REPLICAS..Process::ALL.len());
                self.network(Link::ToRedis(Process::ALL[place]))
            }
            Kind::GroupToConsumer => {
                let link = Link::ToConsumer(self.rng.random_range(0..PUSHED_TO));
                self.network(link)
            }
            Kind::CutSubscriber => Mishap::CutSubscriber(self.rng.random_range(0..REPLICAS)),
            Kind::FlushScripts => Mishap::FlushScripts(self.millis(LASTS_MS)),
            Kind::FillMemory => Mishap::FillMemory(self.millis(LASTS_MS)),
            Kind::FreezeRedis => Mishap::FreezeRedis(self.millis(REDIS_FROZEN_MS)),
            Kind::KillRedis => Mishap::KillRedis(self.millis(AWAY_MS)),
        }
    }

    fn network(&mut self, link: Link) -> Mishap {
        let fault = match self.rng.random_range(0..7) {
            0 => Fault::BlackHole,
            1 => Fault::Reset,
            2 => Fault::Refuse,
            3 => Fault::Delay {
                latency: self.millis(20..=300),
                jitter: self.millis(0..=200),
            },
            4 => Fault::Throttle(self.rng.random_range(5_000..=200_000)),
            5 => Fault::CutAfter(self.rng.random_range(0..=50_000)),
            _ => Fault::OneWay,
        };
        Mishap::Network(link, fault, self.millis(LASTS_MS))
    }

    fn replica(&mut self) -> Process {
        Process::Replica(self.rng.random_range(0..REPLICAS))
    }

    fn pushed(&mut self) -> Process {
        Process::Pushed(self.rng.random_range(0..PUSHED_TO))
    }

    fn millis(&mut self, range: RangeInclusive<u64>) -> Duration {
        Duration::from_millis(self.rng.random_range(range))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(seed: u64, count: usize) -> Vec<Mishap> {
        let mut deck = Deck::new(seed);
        (0..count).map(|_| deck.draw()).collect()
    }

    #[test]
    fn the_same_seed_draws_the_same_mishaps_and_another_seed_others() {
        assert_eq!(drawn(7, 100), drawn(7, 100));
        assert_ne!(drawn(7, 100), drawn(8, 100));
    }

    #[test]
    fn every_kind_comes_before_any_comes_again() {
        let deck = drawn(1, Kind::ALL.len());
        let count =
            |wanted: fn(&Mishap) -> bool| deck.iter().filter(|mishap| wanted(mishap)).count();
        assert_eq!(count(|mishap| matches!(mishap, Mishap::Kill(..))), 3);
        assert_eq!(count(|mishap| matches!(mishap, Mishap::Terminate(..))), 3);
        assert_eq!(count(|mishap| matches!(mishap, Mishap::Freeze(..))), 3);
        assert_eq!(count(|mishap| matches!(mishap, Mishap::Network(..))), 6);
        assert_eq!(count(|mishap| matches!(mishap, Mishap::KillRedis(_))), 1);
    }

    #[test]
    fn every_fault_of_a_network_is_drawn_in_time() {
        let mut seen = [false; 7];
        for mishap in drawn(3, 1_000) {
            let Mishap::Network(_, fault, _) = mishap else {
                continue;
            };
            seen[match fault {
                Fault::Pass => panic!("no fault"),
                Fault::BlackHole => 0,
                Fault::Reset => 1,
                Fault::Refuse => 2,
                Fault::Delay { .. } => 3,
                Fault::Throttle(_) => 4,
                Fault::CutAfter(_) => 5,
                Fault::OneWay => 6,
            }] = true;
        }
        assert_eq!(seen, [true; 7]);
    }
}
