use std::num::NonZeroU32;

use super::*;

const MOST: Most = Most {
    requests: 64,
    batch: 512,
};

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A consumer that works on messages one after the other.
struct Consumer {
    control: WindowControl,
    work: Duration,
    /// How long the way to it takes, in each direction.
    way: Duration,
    /// Whether it says how long it worked.
    tells: bool,
    now: Instant,
    /// When it has done what it was given.
    busy_until: Instant,
    /// When the answers come to what is under way.
    answers: Vec<(Instant, u64)>,
    /// How many messages each request carried.
    requests: Vec<usize>,
}

impl Consumer {
    fn new(declared: u32, max_batch: u32, work: Duration) -> Self {
        let window = Window::default();
        window.set_declared(NonZeroU32::new(declared));
        window.set_max_batch(Some(max_batch));
        let now = Instant::now();
        Self {
            control: WindowControl::new(Arc::new(window), MOST),
            work,
            way: millis(1) / 2,
            tells: false,
            now,
            busy_until: now,
            answers: Vec::new(),
            requests: Vec::new(),
        }
    }

    fn window(&self) -> &Window {
        &self.control.window
    }

    /// Gives it all that it may be given.
    fn give(&mut self) {
        while self.window().room() > 0 {
            self.window().bind();
        }
        loop {
            let bound = self.window().held() - self.control.messages;
            let messages = self.control.next_request().min(bound);
            if messages == 0 {
                return;
            }
            self.requests.push(messages);
            let number = self.control.begin(messages, self.now);
            let arrives = self.now + self.way;
            let work = self.work * u32::try_from(messages).unwrap();
            self.busy_until = self.busy_until.max(arrives) + work;
            self.answers.push((self.busy_until + self.way, number));
        }
    }

    /// Waits for the next answer.
    fn answer(&mut self) {
        let (at, number) = self.answers.remove(0);
        self.now = at;
        let messages = self.requests[usize::try_from(number).unwrap() - 1];
        let work = self.work * u32::try_from(messages).unwrap();
        let work = self.tells.then_some(work);
        self.control.end(number, End::Well { work }, at);
    }

    fn work(&mut self, answers: usize) {
        for _ in 0..answers {
            self.give();
            self.answer();
        }
    }
}

#[test]
fn one_with_long_work_holds_exactly_what_it_declares() {
    for max_batch in [1, 512] {
        let mut consumer = Consumer::new(1, max_batch, millis(100));
        for _ in 0..100 {
            consumer.give();
            assert_eq!(consumer.window().held(), 1);
            assert_eq!(consumer.answers.len(), 1);
            consumer.answer();
        }
        assert!(consumer.requests.iter().all(|messages| *messages == 1));
    }
}

#[test]
fn one_with_short_work_holds_several_hundred_in_large_batches() {
    let mut consumer = Consumer::new(1, 512, Duration::from_micros(10));
    consumer.work(50);
    consumer.give();
    let held = consumer.window().held();
    assert!((1000..=2048).contains(&held), "{held}");
    assert_eq!(consumer.answers.len(), 2);
    let last = consumer.requests.last().unwrap();
    assert!((400..=512).contains(last), "{last}");
    let least = consumer.busy_until - consumer.now;
    assert!(least > millis(4), "it has enough to do: {least:?}");
}

#[test]
fn a_long_way_makes_no_small_batches_of_short_work_if_the_consumer_tells_of_it() {
    for (tells, expected) in [(false, 1), (true, 500)] {
        let mut consumer = Consumer::new(1, 512, Duration::from_micros(10));
        (consumer.way, consumer.tells) = (millis(20), tells);
        consumer.work(50);
        assert_eq!(consumer.requests.last(), Some(&expected), "{tells}");
    }
}

#[test]
fn a_batch_and_what_is_held_are_a_few_milliseconds_of_work() {
    for micros in [100, 500, 1000, 2000, 5000] {
        let work = Duration::from_micros(micros);
        let mut consumer = Consumer::new(1, 512, work);
        consumer.tells = true;
        consumer.work(100);
        let held = u32::try_from(consumer.window().size()).unwrap();
        assert!(held == 1 || work * held <= AHEAD_WORK, "{micros}: {held}");
        let batch = u32::try_from(*consumer.requests.last().unwrap()).unwrap();
        assert!(
            batch == 1 || work * batch <= BATCH_WORK,
            "{micros}: {batch}"
        );
    }
}

#[test]
fn one_by_one_there_are_never_more_requests_than_it_declares() {
    for declared in [1, 3] {
        let mut consumer = Consumer::new(declared, 1, Duration::from_micros(10));
        let declared = usize::try_from(declared).unwrap();
        for _ in 0..100 {
            consumer.give();
            assert_eq!(consumer.answers.len(), declared);
            consumer.answer();
        }
    }
}

#[test]
fn one_that_declares_much_and_takes_batches_is_given_each_at_once() {
    let mut consumer = Consumer::new(8, 512, millis(100));
    consumer.give();
    assert_eq!(consumer.requests, [1; 8]);
}

#[test]
fn one_that_stalls_may_hold_only_what_it_declares() {
    let mut consumer = Consumer::new(1, 512, millis(1));
    consumer.work(100);
    consumer.give();
    assert!(consumer.window().size() > 5);
    assert!(!consumer.control.look(consumer.now + millis(15)));
    assert!(consumer.control.look(consumer.now + millis(50)));
    assert_eq!(consumer.window().size(), 1);
    assert_eq!(consumer.window().room(), 0);
}

#[test]
fn a_message_that_hangs_takes_the_place_of_one_for_a_while_and_no_longer() {
    let mut consumer = Consumer::new(0, 1, millis(50));
    consumer.work(100);
    consumer.give();
    // It is never answered.
    let (_, hanging) = consumer.answers.remove(0);
    consumer.answers.clear();
    let now = consumer.now + millis(50) * (HANGS_TIMES + 2);
    consumer.control.look(now);
    assert_eq!(consumer.window().held(), 0);
    assert!(consumer.window().under_way() >= 1);
    (consumer.now, consumer.busy_until) = (now, now);
    consumer.work(100);
    let at = consumer.now;
    consumer.control.end(hanging, End::Late, at);
    assert!(consumer.window().room() > 0);
    consumer.work(100);
}

#[test]
fn a_first_message_that_hangs_does_not_keep_others_from_a_consumer() {
    let mut consumer = Consumer::new(0, 1, millis(1));
    consumer.give();
    assert_eq!(consumer.control.next_request(), 0);
    consumer.answers.clear();
    consumer.control.look(consumer.now + FIRST_HANGS);
    assert_eq!(consumer.control.next_request(), 1);
}

#[test]
fn one_that_declares_is_taken_at_its_word_also_when_a_message_hangs() {
    let mut consumer = Consumer::new(1, 1, millis(1));
    consumer.work(10);
    consumer.give();
    consumer.control.look(consumer.now + millis(60_000));
    assert_eq!(consumer.window().room(), 0);
    assert_eq!(consumer.control.next_request(), 0);
}

#[test]
fn time_outs_make_the_window_smaller_once_for_all_that_were_under_way() {
    let mut consumer = Consumer::new(0, 1, millis(1));
    consumer.work(100);
    let before = consumer.window().size();
    assert!(before > 4, "it is quick");
    consumer.control.window.set_ahead(0);
    let learnt = consumer.control.climb.size();
    consumer.give();
    let now = consumer.now + millis(5000);
    for (_, number) in std::mem::take(&mut consumer.answers) {
        consumer.control.end(number, End::Late, now);
    }
    assert_eq!(consumer.window().size(), (learnt / 2).max(1));
}

#[test]
fn what_is_under_way_when_an_sender_panics_is_forgotten() {
    let mut consumer = Consumer::new(4, 1, millis(1));
    consumer.give();
    consumer.control.forget_flights();
    assert_eq!(
        (consumer.window().held(), consumer.window().under_way()),
        (0, 0)
    );
    assert!(!consumer.control.is_under_way());
}
