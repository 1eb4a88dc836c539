//! What has happened while the states were visited: a state that is never reached proves nothing.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::{
    call::Answer,
    redis::{Admission, Settlement},
};

/// What should happen at least once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A chunk is appended, and handed to its bringer.
    AppendedAndHandedOut,
    /// A chunk is appended behind others.
    AppendedBehindOthers,
    /// An offer is refused: the id log goes on.
    Missed,
    /// An offer is refused: what the caller has read is not there.
    Diverged,
    /// An offer is refused: it is meant for another queue.
    OfferToAnotherQueue,
    /// A late call appends a chunk.
    AppendedLate,
    /// An outcome is recorded.
    OutcomeRecorded,
    /// A late call records an outcome.
    OutcomeRecordedLate,
    /// A position is settled for the second time, while the rest of its chunk is not.
    SettledBefore,
    /// A position is settled for the second time, after all of its chunk.
    SettledAsAWhole,
    /// A position is to be settled whose chunk a failover has lost.
    Unknown,
    /// A position of another queue is to be settled.
    SettledInAnotherQueue,
    /// A replica crashes.
    Crash,
    /// A replica crashes whose call is still on its way.
    CrashDuringCall,
    /// The answer to an offer is lost.
    AnswerToOfferLost,
    /// The answer to a settlement is lost.
    AnswerToSettleLost,
    /// An offer is given up by its caller.
    OfferTimedOut,
    /// A settlement is given up by its caller.
    SettleTimedOut,
    /// A chunk is taken over from a reader at work.
    Reclaim,
    /// A chunk is taken over from a reader at work when a part of it is settled.
    ReclaimOfTheRest,
    /// A failover loses an append.
    FailoverLosesAppend,
    /// A failover loses an outcome.
    FailoverLosesOutcome,
    /// A failover loses neither.
    FailoverLosesNothing,
    /// All keys are deleted while messages are in the queue.
    FlushOfMessages,
    /// All keys are deleted while none are.
    FlushOfNothing,
}

impl Event {
    /// Every event.
    pub const ALL: [Self; 25] = [
        Self::AppendedAndHandedOut,
        Self::AppendedBehindOthers,
        Self::Missed,
        Self::Diverged,
        Self::OfferToAnotherQueue,
        Self::AppendedLate,
        Self::OutcomeRecorded,
        Self::OutcomeRecordedLate,
        Self::SettledBefore,
        Self::SettledAsAWhole,
        Self::Unknown,
        Self::SettledInAnotherQueue,
        Self::Crash,
        Self::CrashDuringCall,
        Self::AnswerToOfferLost,
        Self::AnswerToSettleLost,
        Self::OfferTimedOut,
        Self::SettleTimedOut,
        Self::Reclaim,
        Self::ReclaimOfTheRest,
        Self::FailoverLosesAppend,
        Self::FailoverLosesOutcome,
        Self::FailoverLosesNothing,
        Self::FlushOfMessages,
        Self::FlushOfNothing,
    ];

    /// What an answer of Redis shows, other than that a late call did something.
    fn of(answer: Answer) -> Self {
        match answer {
            Answer::Offer(Admission::Appended {
                is_handed_out: true,
                ..
            }) => Self::AppendedAndHandedOut,
            Answer::Offer(Admission::Appended { .. }) => Self::AppendedBehindOthers,
            Answer::Offer(Admission::Missed) => Self::Missed,
            Answer::Offer(Admission::Diverged) => Self::Diverged,
            Answer::Offer(Admission::AnotherQueue) => Self::OfferToAnotherQueue,
            Answer::Settle(Settlement::Recorded) => Self::OutcomeRecorded,
            Answer::Settle(Settlement::Before) => Self::SettledBefore,
            Answer::Settle(Settlement::Whole) => Self::SettledAsAWhole,
            Answer::Settle(Settlement::Unknown) => Self::Unknown,
            Answer::Settle(Settlement::AnotherQueue) => Self::SettledInAnotherQueue,
        }
    }
}

/// How often each event has happened.
#[derive(Debug, Default)]
pub struct Coverage([AtomicU64; Event::ALL.len()]);

impl Coverage {
    /// Counts an event.
    #[expect(clippy::as_conversions, reason = "the number of a variant")]
    pub fn count(&self, event: Event) {
        self.0[event as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts what an answer shows.
    pub fn count_answer(&self, answer: Answer) {
        self.count(Event::of(answer));
    }

    /// Counts what the answer to a late call shows, which nobody hears.
    pub fn count_late(&self, answer: Answer) {
        self.count_answer(answer);
        match answer {
            Answer::Offer(Admission::Appended { .. }) => self.count(Event::AppendedLate),
            Answer::Settle(Settlement::Recorded) => self.count(Event::OutcomeRecordedLate),
            Answer::Offer(Admission::Missed | Admission::Diverged | Admission::AnotherQueue)
            | Answer::Settle(
                Settlement::Before
                | Settlement::Whole
                | Settlement::Unknown
                | Settlement::AnotherQueue,
            ) => {}
        }
    }

    /// How often each event has happened.
    pub fn counts(&self) -> impl Iterator<Item = (Event, u64)> {
        let counts = self.0.iter().map(|count| count.load(Ordering::Relaxed));
        Event::ALL.into_iter().zip(counts)
    }
}
