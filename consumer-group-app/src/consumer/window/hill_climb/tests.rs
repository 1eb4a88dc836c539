use std::{cmp::Reverse, collections::BinaryHeap};

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::*;

/// A consumer that works on so many messages at once, simulated.
struct Consumer {
    places: usize,
    /// How long a message takes.
    work: Box<dyn FnMut() -> Duration>,
    now: Instant,
    waiting: usize,
    /// When those it works on are done.
    done: BinaryHeap<Reverse<Instant>>,
}

impl Consumer {
    fn new(places: usize, work: impl FnMut() -> Duration + 'static) -> Self {
        Self {
            places,
            work: Box::new(work),
            now: Instant::now(),
            waiting: 0,
            done: BinaryHeap::new(),
        }
    }

    /// Gives it as much as the climb says, for so many answers.
    fn saturate(&mut self, climb: &mut HillClimb, answers: usize) {
        for _ in 0..answers {
            while self.waiting + self.done.len() < climb.size() {
                self.waiting += 1;
            }
            if self.waiting + self.done.len() == climb.size() {
                climb.filled(self.now);
            }
            self.start();
            if let Some(Reverse(done)) = self.done.pop() {
                self.now = done;
            }
            climb.answered(1, self.now);
            self.start();
        }
    }

    fn start(&mut self) {
        while self.waiting > 0 && self.done.len() < self.places {
            self.waiting -= 1;
            self.done.push(Reverse(self.now + (self.work)()));
        }
    }
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Where it stays on average, once it has had time.
fn mean(consumer: &mut Consumer, climb: &mut HillClimb) -> f64 {
    consumer.saturate(climb, 2000);
    let mut sum = 0.0;
    for _ in 0..4000 {
        consumer.saturate(climb, 1);
        sum += float(climb.size());
    }
    sum / 4000.0
}

#[test]
fn one_that_takes_one_at_a_time_is_seldom_given_a_second() {
    let (mut climb, mut consumer) = (HillClimb::new(64), Consumer::new(1, || millis(100)));
    assert_eq!(climb.size(), 1);
    consumer.saturate(&mut climb, 1000);
    let mut beyond = 0;
    for _ in 0..2000 {
        consumer.saturate(&mut climb, 1);
        assert!(climb.size() <= 2);
        beyond += usize::from(climb.size() > 1);
    }
    assert!(beyond < 100, "{beyond} of 2000");
}

#[test]
fn it_finds_how_many_a_consumer_takes_at_once() {
    for places in [2, 5, 8, 12, 20] {
        let work = || millis(100);
        let (mut climb, mut consumer) = (HillClimb::new(64), Consumer::new(places, work));
        let mean = mean(&mut consumer, &mut climb);
        let share = mean / float(places);
        assert!((0.75..=1.34).contains(&share), "{places}: {mean}");
    }
}

#[test]
fn it_finds_it_also_when_some_messages_take_much_longer_than_others() {
    let mut random = StdRng::seed_from_u64(7);
    let work = move || Duration::from_secs_f64(-0.1 * random.random::<f64>().max(1e-9).ln());
    let (mut climb, mut consumer) = (HillClimb::new(64), Consumer::new(8, work));
    let mean = mean(&mut consumer, &mut climb);
    assert!((5.0..=14.0).contains(&mean), "{mean}");
}

#[test]
fn one_without_a_limit_is_soon_given_the_most() {
    let (mut climb, mut consumer) = (HillClimb::new(64), Consumer::new(1000, || millis(100)));
    let start = consumer.now;
    while climb.size() < 64 {
        consumer.saturate(&mut climb, 1);
    }
    assert!(consumer.now - start < millis(2500));
    climb.set_most(16);
    assert_eq!(climb.size(), 16);
}

#[test]
fn slow_rounds_of_a_busy_machine_do_not_make_it_collapse() {
    let mut random = StdRng::seed_from_u64(11);
    let mut hold_up = 0;
    let work = move || {
        // Now and then everything takes ten times as long for a while.
        hold_up = if hold_up == 0 && random.random_bool(0.002) {
            60
        } else {
            u32::saturating_sub(hold_up, 1)
        };
        millis(if hold_up > 0 { 200 } else { 20 })
    };
    let (mut climb, mut consumer) = (HillClimb::new(64), Consumer::new(50, work));
    consumer.saturate(&mut climb, 2000);
    for _ in 0..4000 {
        consumer.saturate(&mut climb, 1);
        assert!(climb.size() >= 25, "{climb:?}");
    }
}

#[test]
fn little_work_says_nothing_and_takes_a_step_back() {
    let mut climb = HillClimb::new(64);
    let mut now = Instant::now();
    for _ in 0..1000 {
        now += millis(50);
        climb.filled(now);
        now += millis(50);
        climb.answered(1, now);
    }
    assert_eq!(climb.size(), 1);
    let mut consumer = Consumer::new(1000, || millis(100));
    consumer.saturate(&mut climb, 7);
    assert_eq!(climb.size(), 2, "under trial");
    for _ in 0..=UNUSED + 1 {
        consumer.now += PROMPT * 2;
        climb.answered(1, consumer.now);
    }
    assert_eq!(climb.size(), 1);
}

#[test]
fn answers_that_come_together_count_together() {
    let mut climb = HillClimb::new(64);
    let start = Instant::now();
    let mut now = start;
    while climb.size() < 64 {
        climb.filled(now);
        let (first, second) = (climb.size().div_ceil(2), climb.size() / 2);
        now += millis(50);
        climb.answered(first, now);
        now += Duration::from_micros(200);
        if second > 0 {
            climb.answered(second, now);
        }
        assert!(now - start < millis(2000), "{climb:?}");
    }
}

#[test]
fn one_that_says_it_is_too_much_is_given_half() {
    let (mut climb, mut consumer) = (HillClimb::new(64), Consumer::new(1000, || millis(100)));
    consumer.saturate(&mut climb, 1000);
    climb.overloaded();
    assert_eq!(climb.size(), 32);
    (0..10).for_each(|_| climb.overloaded());
    assert_eq!(climb.size(), 1);
}

#[test]
fn one_that_becomes_slower_is_given_as_many_as_before() {
    let (mut climb, mut consumer) = (HillClimb::new(64), Consumer::new(16, || millis(20)));
    mean(&mut consumer, &mut climb);
    consumer.work = Box::new(|| millis(200));
    let mean = mean(&mut consumer, &mut climb);
    assert!((12.0..=21.0).contains(&mean), "{mean}");
}
