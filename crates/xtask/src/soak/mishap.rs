//! What can go wrong, and in which order it does: drawn from a seed, so that it can be repeated.

mod deck;

use std::{fmt, time::Duration};

use local_stack::Fault;

pub(super) use self::deck::Deck;

/// How many replicas the group has.
pub(super) const REPLICAS: usize = 2;

/// How many consumers the group pushes messages to; one more pulls.
pub(super) const PUSHED_TO: usize = 3;

/// One of the processes of ours. The order of all of them is that of [`Process::ALL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Process {
    /// A replica of the group, from 0.
    Replica(usize),
    /// A consumer that messages are pushed to, from 0.
    Pushed(usize),
    /// The consumer that reads the queue itself.
    Puller,
}

impl Process {
    pub(super) const ALL: [Self; REPLICAS + PUSHED_TO + 1] = [
        Self::Replica(0),
        Self::Replica(1),
        Self::Pushed(0),
        Self::Pushed(1),
        Self::Pushed(2),
        Self::Puller,
    ];

    /// Its place among all.
    pub(super) fn place(self) -> usize {
        match self {
            Self::Replica(number) => number,
            Self::Pushed(number) => REPLICAS + number,
            Self::Puller => REPLICAS + PUSHED_TO,
        }
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replica(number) => write!(f, "replica-{}", number + 1),
            Self::Pushed(number) => write!(f, "consumer-{}", number + 1),
            Self::Puller => f.write_str("puller"),
        }
    }
}

/// A network between two processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    /// From a process to Redis.
    ToRedis(Process),
    /// From both replicas to a consumer that messages are pushed to, from 0.
    ToConsumer(usize),
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ToRedis(process) => write!(f, "{process} to Redis"),
            Self::ToConsumer(number) => write!(f, "the group to {}", Process::Pushed(*number)),
        }
    }
}

/// One thing that goes wrong, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mishap {
    /// A process is killed (SIGKILL) and started again after a while.
    Kill(Process, Duration),
    /// A process is asked to end (SIGTERM) and started again after a while.
    Terminate(Process, Duration),
    /// A process stops where it stands (SIGSTOP).
    Freeze(Process, Duration),
    /// A network is bad.
    Network(Link, Fault, Duration),
    /// Redis closes the connection of one of the subscribers.
    CutSubscriber(usize),
    /// Redis forgets all scripts, again and again.
    FlushScripts(Duration),
    /// Redis has no memory left for writing.
    FillMemory(Duration),
    /// Redis stops where it stands (SIGSTOP).
    FreezeRedis(Duration),
    /// Redis is killed (SIGKILL) and started again after a while; nothing is published meanwhile.
    KillRedis(Duration),
}

impl fmt::Display for Mishap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill(process, off) => write!(f, "{process} killed, back after {off:.1?}"),
            Self::Terminate(process, off) => {
                write!(f, "{process} terminated, back after {off:.1?}")
            }
            Self::Freeze(process, time) => write!(f, "{process} frozen for {time:.1?}"),
            Self::Network(link, fault, time) => {
                write!(f, "{link}: {} for {time:.1?}", Shown(*fault))
            }
            Self::CutSubscriber(number) => {
                write!(f, "Redis closes subscriber {}", number + 1)
            }
            Self::FlushScripts(time) => write!(f, "SCRIPT FLUSH again and again for {time:.1?}"),
            Self::FillMemory(time) => write!(f, "Redis out of memory for {time:.1?}"),
            Self::FreezeRedis(time) => write!(f, "Redis frozen for {time:.1?}"),
            Self::KillRedis(off) => write!(f, "Redis killed, back after {off:.1?}"),
        }
    }
}

/// A fault, for people.
struct Shown(Fault);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Fault::Pass => f.write_str("nothing"),
            Fault::BlackHole => f.write_str("black hole"),
            Fault::Reset => f.write_str("resets"),
            Fault::Refuse => f.write_str("refuses"),
            Fault::Delay { latency, jitter } => {
                write!(f, "{latency:.0?} late and up to {jitter:.0?} more")
            }
            Fault::Throttle(rate) => write!(f, "{rate} bytes/s"),
            Fault::CutAfter(bytes) => write!(f, "cuts answers after {bytes} bytes"),
            Fault::OneWay => f.write_str("no answers"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_a_process_is_that_in_the_list_of_all() {
        for (place, process) in Process::ALL.into_iter().enumerate() {
            assert_eq!(process.place(), place, "{process}");
        }
    }

    #[test]
    fn a_mishap_says_who_what_and_how_long() {
        let time = Duration::from_millis(1500);
        let frozen = Mishap::Freeze(Process::Replica(1), time);
        assert_eq!(frozen.to_string(), "replica-2 frozen for 1.5s");
        let network = Mishap::Network(Link::ToConsumer(0), Fault::OneWay, time);
        assert_eq!(
            network.to_string(),
            "the group to consumer-1: no answers for 1.5s"
        );
    }
}
