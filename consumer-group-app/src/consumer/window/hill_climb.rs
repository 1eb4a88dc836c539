//! Finds out how many messages a consumer works on at once, when it does not say.

use std::time::Duration;

use tokio::time::Instant;

use super::START;

/// Within how long after an answer the place must be taken again for the time to count as fully used.
const PROMPT: Duration = Duration::from_millis(10);

/// How many messages a measurement takes at the least; with more at once, as many.
const LEAST_MESSAGES: usize = 4;

/// How many answers may come while the size is not used fully before a step up is taken back.
const UNUSED: u32 = 32;

/// How many measurements there are between two steps after one that was taken back: at first, and at the most.
const SHORTEST_REST: u32 = 4;
const LONGEST_REST: u32 = 64;

/// Climbs to the least concurrency that brings the most messages a second.
///
/// Hill climbing on throughput, as the thread pool of .NET does it (Hellerstein, Morrison and Eilebrecht, "Optimizing
/// Concurrency Levels in the .NET `ThreadPool`", 2008), with the test of TCP Vegas (Brakmo and Peterson, 1995) for
/// whether a step was worth it: what it should have brought is compared with what it brought. A step up that brings
/// less than half of its share only makes messages wait at the consumer, and is taken back; a step down that costs
/// less than half of its share is kept. It doubles until the first step is taken back; then it goes up and down by a
/// quarter, less and less often.
///
/// It measures only while the window is full. So a consumer with little to do, one message
/// that hangs, or one slow round of a busy machine say nothing against it: the step under trial may be taken back,
/// and nothing more.
#[derive(Debug)]
pub(super) struct HillClimb {
    size: usize,
    most: usize,
    /// What the size is compared with.
    base: Option<Point>,
    is_doubling: bool,
    goes_down_next: bool,
    /// How many more measurements without a step, and how many after the next step that is taken back.
    rest: u32,
    next_rest: u32,
    measuring: Measuring,
}

/// A size, and how many messages a second it brought.
#[derive(Debug, Clone, Copy)]
struct Point {
    size: usize,
    rate: f64,
}

/// A measurement that goes on.
#[derive(Debug, Default)]
struct Measuring {
    /// Until when what was answered is counted, while all places are taken or were a moment ago.
    counted: Option<Instant>,
    /// When the first place came free, while any is.
    freed: Option<Instant>,
    /// Whether those are answered that were under way before. Only then it counts.
    is_warm: bool,
    /// What was answered so far while all places were taken, and in what time.
    answers: u32,
    messages: usize,
    time: Duration,
    unused: u32,
}

impl Measuring {
    /// The next measurement at the same size.
    fn start_anew(&mut self) {
        *self = Self {
            is_warm: true,
            counted: self.counted,
            freed: self.freed,
            ..Self::default()
        };
    }

    /// Messages a second.
    fn rate(&self) -> f64 {
        float(self.messages) / self.time.as_secs_f64()
    }

    /// Answers may come in bursts, and part of one would count for too much: a measurement begins and ends where the
    /// next answer takes longer than the others did.
    fn is_between_bursts(&self, interval: Duration) -> bool {
        !self.time.is_zero() && interval * self.answers >= self.time
    }
}

impl HillClimb {
    pub(super) fn new(most: usize) -> Self {
        Self {
            size: START,
            most,
            base: None,
            is_doubling: true,
            goes_down_next: true,
            rest: 0,
            next_rest: SHORTEST_REST,
            measuring: Measuring::default(),
        }
    }

    /// How many messages at once it has come to.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Changes how high it may climb.
    pub(super) fn set_most(&mut self, most: usize) {
        self.most = most.max(1);
        if self.size > self.most {
            self.go_to(self.most);
        }
    }

    /// The window is full: as many messages are under way as the size allows.
    pub(super) fn filled(&mut self, now: Instant) {
        let measuring = &mut self.measuring;
        let freed = measuring.freed.take();
        if freed.is_none_or(|freed| now.duration_since(freed) > PROMPT) {
            measuring.counted = None;
        }
    }

    /// So many messages were answered.
    pub(super) fn answered(&mut self, messages: usize, now: Instant) {
        let measuring = &mut self.measuring;
        let is_prompt = |freed| now.duration_since(freed) <= PROMPT;
        let is_full = is_prompt(*measuring.freed.get_or_insert(now));
        let counted = measuring.counted.replace(now);
        let Some(counted) = counted.filter(|_| is_full) else {
            measuring.unused += 1;
            if measuring.unused > UNUSED {
                self.give_up_step_up();
            }
            return;
        };
        let interval = now.duration_since(counted);
        if measuring.is_between_bursts(interval) {
            let rate = measuring.is_warm.then(|| measuring.rate());
            let enough = self
                .size
                .max(if measuring.is_warm { LEAST_MESSAGES } else { 0 });
            if measuring.messages >= enough {
                let size = self.size;
                self.measuring.start_anew();
                if let Some(rate) = rate {
                    self.measured(rate);
                }
                if self.size != size {
                    return;
                }
            }
        }
        let measuring = &mut self.measuring;
        measuring.answers += 1;
        measuring.messages += messages;
        measuring.time += interval;
    }

    /// The consumer said that it was too much.
    pub(super) fn overloaded(&mut self) {
        self.take_back_to(self.size / 2);
    }

    /// Messages were not given for as long as it could have taken them.
    pub(super) fn interrupted(&mut self) {
        (self.measuring.freed, self.measuring.counted) = (None, None);
    }

    fn measured(&mut self, rate: f64) {
        let here = Point {
            size: self.size,
            rate,
        };
        match self.base {
            Some(base) if base.size < here.size => {
                let is_kept = is_worth(base, here);
                self.tried(here, base, is_kept);
            }
            Some(base) if base.size > here.size => {
                let is_kept = !is_worth(here, base);
                self.tried(here, base, is_kept);
            }
            Some(_) | None => {
                self.base = Some(here);
                if self.rest > 0 {
                    self.rest -= 1;
                } else {
                    self.step();
                }
            }
        }
    }

    fn tried(&mut self, here: Point, base: Point, is_kept: bool) {
        let went_down = here.size < base.size;
        if is_kept {
            self.base = Some(here);
            self.next_rest = SHORTEST_REST;
            self.goes_down_next = went_down;
            self.step();
        } else {
            self.goes_down_next = !went_down;
            self.take_back_to(base.size);
        }
    }

    /// Tries another size.
    fn step(&mut self) {
        let quarter = (self.size / 4).max(1);
        let target = if self.is_doubling && self.size < self.most {
            self.size * 2
        } else if self.goes_down_next && self.size > 1 {
            self.size - quarter
        } else {
            self.size + quarter
        };
        self.go_to(target.clamp(1, self.most));
    }

    /// Takes the last step back, and tries none for a while.
    fn take_back_to(&mut self, size: usize) {
        self.is_doubling = false;
        self.base = self.base.filter(|base| base.size == size);
        self.rest = self.next_rest;
        self.next_rest = (self.next_rest * 2).min(LONGEST_REST);
        self.go_to(size.max(1));
    }

    fn give_up_step_up(&mut self) {
        self.measuring.unused = 0;
        if let Some(base) = self.base
            && base.size < self.size
        {
            self.take_back_to(base.size);
        }
    }

    fn go_to(&mut self, size: usize) {
        self.size = size;
        self.measuring = Measuring::default();
    }
}

/// Whether the step up brings at least half of what it should.
fn is_worth(small: Point, large: Point) -> bool {
    let share = float(large.size) / float(small.size) - 1.0;
    large.rate > small.rate * (1.0 + share / 2.0)
}

fn float(messages: usize) -> f64 {
    u32::try_from(messages).map_or(f64::from(u32::MAX), f64::from)
}

#[cfg(test)]
mod tests;
