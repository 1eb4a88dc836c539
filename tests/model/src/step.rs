//! What can happen in a state.

use crate::{
    message::MESSAGES,
    redis::{ChunkId, Position},
    replica::ReplicaNumber,
    state::State,
};

/// What a replica may have Redis do, itself or by way of a consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Admit what it heard.
    Offer,
    /// Record the outcome of a message it holds: a commit, or a dead letter.
    Settle(Position),
}

/// A step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// All is well.
    Work(Work),
    /// Something goes wrong.
    Fault(Fault),
}

/// A step in which nothing goes wrong.
///
/// A call that goes well is one step, sent, carried out and answered: what others do meanwhile could as
/// well be done before or after. Only a call that its caller has given up on has a life of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// The next message is published; every replica hears it.
    Publish,
    /// A replica reads the id log; it makes the queue if there is none.
    ReadLog(ReplicaNumber),
    /// A replica is handed a chunk that nobody, or nobody at work, has.
    Read(ReplicaNumber, ChunkId),
    /// A call is carried out and answered.
    Call(ReplicaNumber, Operation),
    /// A late call is carried out.
    Arrive(usize),
}

/// A step in which something goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A call is carried out, and the answer is lost.
    LoseAnswer(ReplicaNumber, Operation),
    /// The caller gives up before its call is carried out.
    TimeOut(ReplicaNumber, Operation),
    /// A replica loses all it has in memory, perhaps with a call on its way, and starts again.
    Crash(ReplicaNumber, Option<Operation>),
    /// A replica takes over a chunk that the other is at work on.
    Reclaim(ReplicaNumber, ChunkId),
    /// Redis's replica takes over, without the last step.
    Failover,
    /// All keys are deleted.
    Flush,
}

impl State {
    /// The steps in which nothing goes wrong.
    #[must_use]
    pub fn work(&self) -> Vec<Work> {
        let mut steps = Vec::new();
        if self.published < MESSAGES {
            steps.push(Work::Publish);
        }
        steps.extend((0..self.late.len()).map(Work::Arrive));
        for (number, replica) in (0..).zip(&self.replicas) {
            let is_behind =
                replica.identity != self.redis.identity || replica.read_to != self.redis.log_end();
            if self.redis.identity == 0 || is_behind {
                steps.push(Work::ReadLog(number));
            }
            let free = self.redis.queue.iter().filter(|chunk| {
                let mut reader = chunk.reader.iter();
                !reader.any(|reader| self.replicas[usize::from(*reader)].holds(chunk.id))
            });
            steps.extend(free.map(|chunk| Work::Read(number, chunk.id)));
            let operations = replica.operations();
            steps.extend(operations.map(|operation| Work::Call(number, operation)));
        }
        steps
    }

    /// The steps in which something goes wrong, as far as any are left.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        let mut steps = Vec::new();
        let left = self.faults;
        if left.any == 0 {
            return steps;
        }
        for (number, replica) in (0..).zip(&self.replicas) {
            if left.crashes > 0 {
                steps.push(Fault::Crash(number, None));
                let crash = |operation| Fault::Crash(number, Some(operation));
                steps.extend(replica.operations().map(crash));
            }
            if left.lost > 0 {
                let lost = |operation| {
                    [
                        Fault::LoseAnswer(number, operation),
                        Fault::TimeOut(number, operation),
                    ]
                };
                steps.extend(replica.operations().flat_map(lost));
            }
            if left.reclaims > 0 {
                let others = self.redis.queue.iter().filter(|chunk| {
                    let mut reader = chunk.reader.iter().filter(|reader| **reader != number);
                    reader.any(|reader| self.replicas[usize::from(*reader)].holds(chunk.id))
                });
                steps.extend(others.map(|chunk| Fault::Reclaim(number, chunk.id)));
            }
        }
        if left.failovers > 0 && self.replicated.is_some() {
            steps.push(Fault::Failover);
        }
        if left.flushes > 0 && self.redis.identity != 0 {
            steps.push(Fault::Flush);
        }
        steps
    }
}
