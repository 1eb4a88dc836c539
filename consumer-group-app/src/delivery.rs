//! A message on its way through the group, and what an attempt to deliver it came to.

use std::time::Duration;

use protocol::{AnsweredEntry, ConsumerId, DeadLetter, DeadLetterReason, Message, retry::History};
use tokio::time::Instant;

use crate::{
    intake::{Buffer, Received},
    queue::{LocalQueue, receiver::LeasedPosition},
};

/// What is left to do for a message that a consumer processed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Remaining {
    /// The consumer has recorded its result, and settled the message in the same step.
    Nothing,
    /// The consumer records elsewhere, if at all: the message is to be settled in the queue.
    Settle,
    /// This is to be recorded, and the message settled in the same step.
    Record(AnsweredEntry),
}

/// What an attempt came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The consumer processed the message.
    Delivered(Remaining),
    /// The consumer says that the message had been processed before.
    Duplicate(Remaining),
    /// The consumer says that the queue knows nothing of the message's position: it was emptied, or has lost its
    /// end. Nothing is recorded.
    UnknownPosition,
    /// The consumer says that the message is at fault; no other will think otherwise.
    Rejected(String),
    /// The consumer is well but takes nothing for this long.
    Busy(Duration),
    /// The consumer asks to have this message again after so long; nobody is to blame.
    Later(Duration),
    /// The consumer failed. It may have processed the message.
    Failed(String),
    /// The consumer did not answer in time. It may have processed the message.
    TimedOut,
    /// The consumer could not be connected to.
    Unreachable(String),
    /// The consumer says that it is one no longer.
    Gone,
    /// A proxy in front of the consumer did not reach it, or got no answer.
    BadGateway(String),
    /// This side could not connect, such as for want of a file descriptor; the consumer is not to blame.
    OwnFault(String),
}

impl Outcome {
    /// The outcome in words, for `last_error`.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Delivered(_) => "delivered".to_owned(),
            Self::Duplicate(_) => "processed before".to_owned(),
            Self::UnknownPosition => "the queue does not know the message's position".to_owned(),
            Self::Rejected(error)
            | Self::Failed(error)
            | Self::Unreachable(error)
            | Self::BadGateway(error)
            | Self::OwnFault(error) => error.clone(),
            Self::Busy(_) => "the consumer was busy".to_owned(),
            Self::Later(_) => "the consumer asked to have it later".to_owned(),
            Self::Gone => "the consumer answered that it is gone".to_owned(),
            Self::TimedOut => "the consumer did not answer in time".to_owned(),
        }
    }
}

/// What the group knows about a message it has not finished with.
#[derive(Debug, Clone)]
pub(crate) struct LeasedMessage {
    pub(crate) message: Message,
    /// Its place in the queue: the older, the less.
    pub(crate) place: u64,
    /// When it was heard, or came into the queue.
    pub(crate) received: Instant,
    pub(crate) attempts: u32,
    /// How many of the attempts reached no consumer, or one that would not look at the message.
    pub(crate) fruitless: u32,
    /// The consumers tried since the last time all had been.
    pub(crate) tried: Vec<ConsumerId>,
    pub(crate) last_error: String,
    /// Whether it goes in a request of its own: it was in one that failed as a whole, so it may be what makes
    /// consumers fail, and must not take others along again.
    pub(crate) goes_alone: bool,
    /// Where it stands in the queue.
    pub(crate) at: LeasedPosition,
    /// How often it was handed out from there before, to whoever did not finish with it.
    pub(crate) deliveries_before: u64,
}

impl LeasedMessage {
    pub(crate) fn new(message: Message, received: Instant, at: LeasedPosition) -> Self {
        Self {
            message,
            place: 0,
            received,
            at,
            deliveries_before: 0,
            attempts: 0,
            fruitless: 0,
            tried: Vec::new(),
            last_error: String::new(),
            goes_alone: false,
        }
    }

    /// The size the queue's bound counts, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.message.body().len()
    }

    /// The attempts so far.
    pub(crate) fn history(&self) -> History {
        History {
            attempts: self.attempts.into(),
            fruitless: self.fruitless.into(),
        }
    }

    /// Notes that an attempt begins.
    pub(crate) fn begin_attempt(&mut self) {
        self.attempts = self.attempts.saturating_add(1);
    }

    /// Notes that the attempt was none: the consumer did not look at the message.
    pub(crate) fn undo_attempt(&mut self) {
        self.attempts = self.attempts.saturating_sub(1);
    }

    /// Notes that the attempt failed.
    pub(crate) fn note_failure(&mut self, consumer: Option<&ConsumerId>, outcome: &Outcome) {
        // One that put it off may have it again.
        if !matches!(outcome, Outcome::Later(_)) {
            self.tried.extend(consumer.cloned());
        }
        self.last_error = outcome.describe();
        if matches!(
            outcome,
            Outcome::Unreachable(_)
                | Outcome::BadGateway(_)
                | Outcome::Busy(_)
                | Outcome::Later(_)
                | Outcome::Gone
        ) {
            self.note_fruitless();
        }
        if matches!(outcome, Outcome::OwnFault(_)) {
            self.undo_attempt();
        }
    }

    /// Notes that the attempt does not count towards the most there may be.
    pub(crate) fn note_fruitless(&mut self) {
        self.fruitless = self.fruitless.saturating_add(1);
    }

    /// Whether an attempt before the one that just ended may have been successful unknown to us: a
    /// consumer that says "duplicate" then speaks of that.
    pub(crate) fn may_have_been_processed(&self) -> bool {
        self.attempts > 1 || self.deliveries_before > 0
    }

    pub(crate) fn to_dead_letter(&self, reason: DeadLetterReason) -> DeadLetter {
        DeadLetter::new(&self.message, reason, self.attempts, &self.last_error)
    }
}

/// A message taken from the queue.
///
/// Invariant: it ends in exactly one way. Either it is finished, by [`Delivery::finish`], or it is
/// dropped, and then the message goes back to the queue. Whatever ends a task, a panic, a cancellation
/// or a consumer that leaves, no message ends with it.
#[derive(Debug)]
pub(crate) struct Delivery {
    /// What is known about the message.
    pub(crate) leased: LeasedMessage,
    queue: LocalQueue,
    is_finished: bool,
    is_aside: bool,
}

impl Delivery {
    pub(crate) fn new(leased: LeasedMessage, queue: LocalQueue) -> Self {
        Self {
            leased,
            queue,
            is_finished: false,
            is_aside: false,
        }
    }

    /// Whether it was set aside.
    pub(crate) fn is_aside(&self) -> bool {
        self.is_aside
    }

    /// Sets it aside: a consumer has put it off or fetched it, so that it need not hold up any other.
    pub(crate) fn set_aside(&mut self) {
        if !std::mem::replace(&mut self.is_aside, true) {
            self.queue.set_aside();
        }
    }

    /// Takes it up again.
    pub(crate) fn take_up(&mut self) {
        if std::mem::take(&mut self.is_aside) {
            self.queue.take_up();
        }
    }

    fn finished(&self, ending: Ending) -> Finished {
        Finished {
            bytes: self.leased.bytes(),
            received: self.leased.received,
            ending,
        }
    }

    /// Ends it.
    pub(crate) fn finish(self, ending: Ending) {
        Self::finish_all([(self, ending)]);
    }

    /// Has what the queue has lost offered to it again.
    pub(crate) fn offer_again(deliveries: Vec<Self>, buffer: &Buffer) {
        let received = deliveries.iter().map(|delivery| {
            let leased = &delivery.leased;
            Received::message(
                leased.message.body().clone(),
                leased.message.id(),
                leased.received,
            )
        });
        // First, so that nothing is lost in between.
        buffer.push_again(received.collect());
        let deliveries = deliveries.into_iter();
        Self::finish_all(deliveries.map(|delivery| (delivery, Ending::Released)));
    }

    /// Ends deliveries of one queue.
    pub(crate) fn finish_all(deliveries: impl IntoIterator<Item = (Self, Ending)>) {
        let mut deliveries = deliveries.into_iter();
        let Some((mut first, ending)) = deliveries.next() else {
            return;
        };
        first.is_finished = true;
        let mut finished = Vec::with_capacity(deliveries.size_hint().0 + 1);
        finished.push(first.finished(ending));
        // What they hold is given free before the queue is locked.
        for (mut delivery, ending) in deliveries {
            delivery.is_finished = true;
            finished.push(delivery.finished(ending));
        }
        first.queue.finish(&finished);
    }
}

/// What the queue has to know of a message that is finished with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Finished {
    pub(crate) bytes: usize,
    pub(crate) received: Instant,
    pub(crate) ending: Ending,
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.take_up();
        if !self.is_finished {
            self.queue.give_back(self.leased.clone());
        }
    }
}

/// How a message left the group for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// A consumer processed it.
    Processed,
    /// It had been processed before, or its like is among the dead letters already.
    Duplicate,
    /// It is in the stream of dead letters.
    DeadLettered,
    /// It is in the queue in Redis, or with another of its readers.
    Released,
}
