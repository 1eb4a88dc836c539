//! The whole system at one instant, and how a step changes it.

use stateright::Representative;

use crate::{
    call::{Answer, Call, Request},
    coverage::Event,
    guard::Guard,
    message::{MESSAGES, Set, id_of},
    model::{Faults, QueueModel},
    redis::{Admission, ChunkId, QueueIdentity, Redis, Settlement},
    replica::{Replica, ReplicaNumber, other},
    step::{Fault, Operation, Work},
};

/// All there is at one instant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    /// Redis.
    pub redis: Redis,
    /// What a failover would leave: Redis before its last step.
    pub replicated: Option<Redis>,
    /// The replicas of the group.
    pub replicas: [Replica; 2],
    /// The calls that nobody waits for any more, in no order.
    pub late: Vec<Call>,
    /// How many messages are published.
    pub published: u8,
    /// The ids of which a fault left nothing anywhere.
    pub excused: Set,
    /// What may still go wrong.
    pub faults: Faults,
    last_chunk: ChunkId,
    last_identity: QueueIdentity,
}

impl State {
    /// Before the first message: no queue, and replicas that have just started.
    #[must_use]
    pub fn new(faults: Faults) -> Self {
        Self {
            redis: Redis::default(),
            replicated: None,
            replicas: Default::default(),
            late: Vec::new(),
            published: 0,
            excused: Set::default(),
            faults,
            last_chunk: 0,
            last_identity: 0,
        }
    }

    /// Makes a step in which nothing goes wrong.
    pub fn go_on(&mut self, model: &QueueModel, work: Work) {
        match work {
            Work::Publish => {
                let message = self.published;
                self.published += 1;
                self.replicas.iter_mut().for_each(|one| one.hear(message));
            }
            Work::ReadLog(number) => self.read_log(model, number),
            Work::Read(number, chunk) => self.hand_out(number, chunk),
            Work::Call(number, operation) => {
                let call = self.replica(number).call(number, operation);
                let answer = self.carry_out(model, &call);
                model.coverage.count_answer(answer);
                self.answer(model, number, &call, answer);
            }
            Work::Arrive(at) => {
                let call = self.late.remove(at);
                let answer = self.carry_out(model, &call);
                model.coverage.count_late(answer);
            }
        }
    }

    /// Makes a step in which something goes wrong.
    pub fn go_wrong(&mut self, model: &QueueModel, fault: Fault) {
        self.count(model, fault);
        self.faults.any -= 1;
        match fault {
            Fault::LoseAnswer(number, operation) => {
                self.faults.lost -= 1;
                let call = self.replica(number).call(number, operation);
                self.carry_out(model, &call);
            }
            Fault::TimeOut(number, operation) => {
                self.faults.lost -= 1;
                let call = self.replica(number).call(number, operation);
                self.give_up(call);
            }
            Fault::Crash(number, operation) => {
                self.faults.crashes -= 1;
                let replica = std::mem::take(self.replica(number));
                if let Some(operation) = operation {
                    self.give_up(replica.call(number, operation));
                }
                self.excuse();
            }
            Fault::Reclaim(number, chunk) => {
                self.faults.reclaims -= 1;
                self.hand_out(number, chunk);
            }
            Fault::Failover => {
                self.faults.failovers -= 1;
                self.redis = self.replicated.take().unwrap_or_default();
                self.excuse();
            }
            Fault::Flush => {
                self.faults.flushes -= 1;
                self.write(|redis| *redis = Redis::default());
                self.excuse();
            }
        }
        if self.faults.failovers == 0 || self.faults.any == 0 {
            self.replicated = None;
        }
    }

    /// Counts a fault, before it happens.
    fn count(&self, model: &QueueModel, fault: Fault) {
        let event = match fault {
            Fault::LoseAnswer(_, Operation::Offer) => Event::AnswerToOfferLost,
            Fault::LoseAnswer(_, Operation::Settle(_)) => Event::AnswerToSettleLost,
            Fault::TimeOut(_, Operation::Offer) => Event::OfferTimedOut,
            Fault::TimeOut(_, Operation::Settle(_)) => Event::SettleTimedOut,
            Fault::Crash(_, None) => Event::Crash,
            Fault::Crash(_, Some(_)) => Event::CrashDuringCall,
            Fault::Reclaim(_, id) => {
                let mut queue = self.redis.queue.iter();
                match queue.any(|chunk| chunk.id == id && !chunk.settled.is_empty()) {
                    true => Event::ReclaimOfTheRest,
                    false => Event::Reclaim,
                }
            }
            Fault::Failover => {
                let is_appended = |before: &Redis| before.log.len() < self.redis.log.len();
                let is_settled = |before: &Redis| before.outcomes != self.redis.outcomes;
                match &self.replicated {
                    Some(before) if is_appended(before) => Event::FailoverLosesAppend,
                    Some(before) if is_settled(before) => Event::FailoverLosesOutcome,
                    Some(_) | None => Event::FailoverLosesNothing,
                }
            }
            Fault::Flush if self.redis.queue.is_empty() => Event::FlushOfNothing,
            Fault::Flush => Event::FlushOfMessages,
        };
        model.coverage.count(event);
    }

    fn replica(&mut self, number: ReplicaNumber) -> &mut Replica {
        &mut self.replicas[usize::from(number)]
    }

    /// Changes Redis in one step, and keeps what a failover would leave.
    fn write<T>(&mut self, change: impl FnOnce(&mut Redis) -> T) -> T {
        let before = (self.faults.failovers > 0).then(|| self.redis.clone());
        let result = change(&mut self.redis);
        if before.as_ref().is_some_and(|before| *before != self.redis) {
            self.replicated = before;
        }
        result
    }

    fn read_log(&mut self, model: &QueueModel, number: ReplicaNumber) {
        if self.redis.identity == 0 {
            self.last_identity += 1;
            let identity = self.last_identity;
            self.write(|redis| redis.identity = identity);
        }
        self.replicas[usize::from(number)].read_log(model, &self.redis);
    }

    fn hand_out(&mut self, number: ReplicaNumber, chunk: ChunkId) {
        let identity = self.redis.identity;
        let handed = self.write(|redis| redis.hand_out(chunk, number));
        if let Some(chunk) = handed {
            self.replica(number)
                .hold(identity, chunk.id, &chunk.messages);
        }
    }

    /// Carries a call out.
    fn carry_out(&mut self, model: &QueueModel, call: &Call) -> Answer {
        let chunk = match model.has(Guard::ChunkIdsAreUnique) {
            true => self.last_chunk + 1,
            false => self.redis.log_end() + 1,
        };
        let answer = self.write(|redis| match &call.request {
            Request::Offer { read_to, messages } => {
                let seen = (call.identity, *read_to);
                Answer::Offer(redis.append(model, seen, messages, (chunk, call.caller)))
            }
            Request::Settle { position, message } => {
                Answer::Settle(redis.settle(model, call.identity, *position, *message))
            }
        });
        self.last_chunk = self.last_chunk.max(self.redis.log_end());
        answer
    }

    /// The caller gets its answer.
    fn answer(&mut self, model: &QueueModel, number: ReplicaNumber, call: &Call, answer: Answer) {
        let replica = &mut self.replicas[usize::from(number)];
        match (&call.request, answer) {
            (Request::Offer { messages, .. }, Answer::Offer(admission)) => match admission {
                Admission::Appended {
                    chunk,
                    is_handed_out,
                } => {
                    replica.appended(chunk, messages);
                    if is_handed_out {
                        replica.hold(call.identity, chunk, messages);
                    }
                }
                Admission::Missed | Admission::Diverged => replica.read_log(model, &self.redis),
                Admission::AnotherQueue => replica.forget_queue(),
            },
            (Request::Settle { position, message }, Answer::Settle(settlement)) => match settlement
            {
                Settlement::Recorded | Settlement::Before | Settlement::Whole => {
                    replica.settled(*position);
                }
                Settlement::Unknown | Settlement::AnotherQueue => {
                    replica.unknown(model, *position, *message);
                }
            },
            // No request has an answer of the other kind.
            (Request::Offer { .. }, Answer::Settle(_))
            | (Request::Settle { .. }, Answer::Offer(_)) => {}
        }
    }

    /// A call that nobody waits for any more goes its way.
    fn give_up(&mut self, call: Call) {
        let at = self.late.partition_point(|other| *other < call);
        self.late.insert(at, call);
    }

    /// Has the replicas keep what they heard no longer than a failover can lose it.
    pub fn forget(&mut self) {
        let mut admitted = self.redis.admitted();
        if let Some(before) = &self.replicated {
            admitted = admitted.within(before.admitted());
        }
        let kept = (0..MESSAGES)
            .filter(|message| !admitted.has(id_of(*message)))
            .collect();
        for replica in &mut self.replicas {
            replica.heard = replica.heard.within(kept);
        }
    }

    /// Excuses the ids that are nowhere any more: without outcome, not in the queue, in no replica.
    fn excuse(&mut self) {
        let queued = self.redis.queue.iter().flat_map(|chunk| &chunk.messages);
        let held = self.replicas.iter().flat_map(Replica::messages);
        let somewhere: Set = queued.copied().chain(held).map(id_of).collect();
        for id in (0..self.published).map(id_of) {
            if self.redis.outcomes[usize::from(id)] == 0 && !somewhere.has(id) {
                self.excused.add(id);
            }
        }
    }
}

impl Representative for State {
    /// The replicas are alike, so one of the two states that differ in their numbers stands for both.
    fn representative(&self) -> Self {
        let mut state = self.clone();
        if state.replicas[0] <= state.replicas[1] {
            return state;
        }
        state.replicas.swap(0, 1);
        state.redis = state.redis.with_replicas_swapped();
        state.replicated = state.replicated.map(Redis::with_replicas_swapped);
        for call in &mut state.late {
            call.caller = other(call.caller);
        }
        state.late.sort();
        state
    }
}
