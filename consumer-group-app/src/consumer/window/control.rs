//! Keeps the window of one consumer, from what it is given and how it answers.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use service_kit::delivery_rate::{DeliveryRate, Departure};
use tokio::time::Instant;

use super::{Window, hill_climb::HillClimb};

/// How much work a request may carry: what takes the consumer longer goes message by message, so that each can
/// still go to whoever is free. More would save nothing: a request costs some tens of microseconds.
const BATCH_WORK: Duration = Duration::from_millis(5);

/// How much work a consumer may hold beyond what it works on at once, so that it never waits for an answer to
/// travel: two requests, and one that is put together meanwhile.
const AHEAD_WORK: Duration = BATCH_WORK.saturating_mul(REQUESTS_AHEAD);
const REQUESTS_AHEAD: u32 = 3;

/// How many requests of many messages are under way at the most: while the consumer works on one the next comes
/// in. More would only make them smaller.
const BATCHES_AT_ONCE: usize = 2;

/// A consumer has stalled when no answer came for four times as long as usual, and for this at the least. What
/// was to be ahead then goes elsewhere.
const STALLED: Duration = Duration::from_millis(20);
const STALLED_TIMES: u32 = 4;

/// A request seems to hang when it has been under way eight times as long as usual, and for this at the least…
const HANGS: Duration = Duration::from_millis(200);
const HANGS_TIMES: u32 = 8;

/// …or for this, when nothing has been answered yet.
const FIRST_HANGS: Duration = Duration::from_secs(1);

/// How much a new answer counts for how long answers usually take: a fifth.
const NEWER: u32 = 5;

/// What the operator says about how much is under way to one consumer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Most {
    pub(crate) requests: usize,
    pub(crate) batch: usize,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The consumer did its part, and may say how long it worked.
    Well { work: Option<Duration> },
    /// The consumer said that it was too much.
    TooMuch,
    /// It was not answered in time.
    Late,
    /// It tells nothing about how much the consumer takes.
    Otherwise,
}

/// The one who changes a [`Window`]: the sender of its consumer.
#[derive(Debug)]
pub(crate) struct WindowControl {
    window: Arc<Window>,
    most: Most,
    rate: DeliveryRate,
    /// How long a message takes, as the consumer says: the time of a request by the number of its messages.
    work: Option<Duration>,
    climb: HillClimb,
    /// How long an answer usually takes.
    usual: Option<Duration>,
    /// What is under way, oldest first, but for what seems to hang.
    flights: BTreeMap<u64, Flight>,
    messages: usize,
    hanging: BTreeMap<u64, usize>,
    number: u64,
    /// When the consumer last did its part, and when the window was last made smaller for what went wrong.
    did_well: Option<Instant>,
    shrunk: Option<Instant>,
    /// When the consumer answered, or was given something after it had nothing.
    moved: Instant,
}

#[derive(Debug)]
struct Flight {
    departure: Departure,
    messages: usize,
}

impl WindowControl {
    pub(crate) fn new(window: Arc<Window>, most: Most) -> Self {
        Self {
            window,
            most,
            rate: DeliveryRate::default(),
            work: None,
            climb: HillClimb::new(most.requests),
            usual: None,
            flights: BTreeMap::new(),
            messages: 0,
            hanging: BTreeMap::new(),
            number: 0,
            did_well: None,
            shrunk: None,
            moved: Instant::now(),
        }
    }

    /// Whether anything is under way.
    pub(crate) fn is_under_way(&self) -> bool {
        !self.flights.is_empty() || !self.hanging.is_empty()
    }

    /// How many messages the next request may carry; 0: there may be none.
    pub(crate) fn next_request(&self) -> usize {
        let requests = self.flights.len();
        if requests + self.hanging.len() >= self.most.requests {
            return 0;
        }
        let (size, declared) = (self.window.size(), self.window.declared().is_some());
        let concurrency = self.window.concurrency();
        let max_batch = self.max_batch();
        let may_begin = match max_batch {
            1 if declared => requests < concurrency,
            1 => true,
            _ => {
                requests < BATCHES_AT_ONCE
                    || (self.messages < concurrency && (declared || concurrency == size))
            }
        };
        if !may_begin {
            return 0;
        }
        let mut batch = self.in_time(BATCH_WORK).max(1);
        if !declared {
            // It may take many at a time as well as one after the other; half, so that the next is on its way.
            batch = batch.max(concurrency.div_ceil(BATCHES_AT_ONCE));
        }
        batch.min(max_batch).min(size.saturating_sub(self.messages))
    }

    /// How many messages the consumer gets done in so much time. How many are answered in it would be too few where
    /// little work comes a long way: requests would be small, and by that slow.
    fn in_time(&self, time: Duration) -> usize {
        let by_work = self
            .work
            .map_or(0, |work| time.as_nanos() / work.as_nanos().max(1));
        let by_work = usize::try_from(by_work).unwrap_or(usize::MAX);
        by_work.max(self.rate.in_time(time))
    }

    fn max_batch(&self) -> usize {
        self.window.max_batch().min(self.most.batch)
    }

    /// A request begins; answers its number.
    pub(crate) fn begin(&mut self, messages: usize, now: Instant) -> u64 {
        if self.flights.is_empty() {
            self.moved = now;
        }
        self.number += 1;
        let departure = self.rate.depart(now);
        let flight = Flight {
            departure,
            messages,
        };
        self.flights.insert(self.number, flight);
        self.messages += messages;
        if self.messages >= self.climb.size() {
            self.climb.filled(now);
        }
        self.publish();
        self.number
    }

    /// A request has ended. Its messages are bound to the consumer no more.
    pub(crate) fn end(&mut self, number: u64, end: End, now: Instant) {
        self.moved = now;
        let Some(flight) = self.flights.remove(&number) else {
            // They have been released when it seemed to hang.
            self.hanging.remove(&number);
            return self.publish();
        };
        self.messages -= flight.messages;
        self.window.release(flight.messages);
        let begun = flight.departure.at();
        match end {
            End::Well { work } => self.learn(&flight, work, now),
            End::TooMuch => self.shrink(begun, now),
            // It may be this one message that hangs.
            End::Late if self.did_well < Some(begun) => self.shrink(begun, now),
            End::Late | End::Otherwise => self.climb.interrupted(),
        }
        self.publish();
    }

    /// What began before the last time says nothing of the window since.
    fn shrink(&mut self, begun: Instant, now: Instant) {
        if self.shrunk < Some(begun) {
            self.shrunk = Some(now);
            self.climb.overloaded();
        }
    }

    fn learn(&mut self, flight: &Flight, work: Option<Duration>, now: Instant) {
        self.did_well = Some(now);
        let took = now.duration_since(flight.departure.at());
        let usual = self.usual.unwrap_or(took);
        self.usual = Some((usual * (NEWER - 1) + took) / NEWER);
        self.rate.arrive(&flight.departure, flight.messages, now);
        self.work = work.map(|work| {
            let each = work / u32::try_from(flight.messages.max(1)).unwrap_or(u32::MAX);
            self.work
                .map_or(each, |before| (before * (NEWER - 1) + each) / NEWER)
        });
        let per_request = match self.max_batch() {
            1 => self.most.requests,
            many => many.saturating_mul(BATCHES_AT_ONCE),
        };
        self.climb.set_most(per_request);
        let ahead = self.in_time(AHEAD_WORK);
        let most_ahead = per_request.saturating_mul(2);
        self.window.set_ahead(ahead.min(most_ahead));
        if ahead > self.climb.size() || self.window.declared().is_some() {
            self.climb.interrupted();
        } else {
            self.climb.answered(flight.messages, now);
        }
    }

    /// Looks whether answers are missing. `true` when the consumer has stalled: it may hold only what it works on
    /// at once until it answers, and the rest should go elsewhere.
    pub(crate) fn look(&mut self, now: Instant) -> bool {
        let hangs = self
            .usual
            .map_or(FIRST_HANGS, |usual| HANGS.max(usual * HANGS_TIMES));
        // One that says how many it works on at once is taken at its word.
        if self.window.declared().is_none() {
            let is_hanging = |flight: &Flight| now.duration_since(flight.departure.at()) >= hangs;
            let mut released = 0;
            for (number, flight) in self.flights.extract_if(.., |_, flight| is_hanging(flight)) {
                released += flight.messages;
                self.hanging.insert(number, flight.messages);
            }
            self.messages -= released;
            self.window.release(released);
        }
        let stalled = self
            .usual
            .map_or(STALLED, |usual| STALLED.max(usual * STALLED_TIMES));
        let has_stalled = self.is_under_way() && now.duration_since(self.moved) >= stalled;
        if has_stalled {
            self.window.set_ahead(0);
        }
        has_stalled
    }

    /// The consumer may be another program by now.
    pub(crate) fn start_anew(&mut self) {
        self.climb = HillClimb::new(self.most.requests);
        self.rate.forget();
        self.work = None;
        self.usual = None;
        self.window.set_ahead(0);
        self.publish();
    }

    /// What was under way is no more, and nobody will say how it ended.
    pub(crate) fn forget_flights(&mut self) {
        self.window.release(std::mem::take(&mut self.messages));
        self.flights.clear();
        self.hanging.clear();
        self.publish();
    }

    fn publish(&self) {
        let hanging: usize = self.hanging.values().sum();
        self.window
            .set_load(self.messages + hanging, self.climb.size());
    }
}

#[cfg(test)]
mod tests;
