//! Looks at the status of every replica all the time, and shows how it goes.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use super::{findings::Findings, ledger::Ledger, mishap::REPLICAS, status::Status};
use crate::output::{count, warn};

/// How often a status is read.
const READ_EVERY: Duration = Duration::from_secs(1);

/// How often a line is shown.
const SHOW_EVERY: Duration = Duration::from_secs(10);

/// What watches, until it is dropped.
#[derive(Debug)]
pub(super) struct Watch {
    ledger: Ledger,
    findings: Findings,
    /// The base URLs of the replicas.
    replicas: [String; REPLICAS],
    shown: Instant,
    sent: usize,
    /// How many times a status was read, and how many times it could not be.
    pub(super) samples: u64,
    pub(super) unanswered: u64,
}

impl Watch {
    pub(super) fn new(ledger: Ledger, findings: Findings, replicas: [String; REPLICAS]) -> Self {
        Self {
            ledger,
            findings,
            replicas,
            shown: Instant::now(),
            sent: 0,
            samples: 0,
            unanswered: 0,
        }
    }

    /// Watches until it is dropped.
    pub(super) async fn run(&mut self) {
        let mut tick = interval(READ_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            let [first, second] = &self.replicas;
            let (first, second) = tokio::join!(Status::read(first), Status::read(second));
            let read = [first, second].map(Result::ok);
            for (number, status) in read.iter().enumerate() {
                match status {
                    None => self.unanswered += 1,
                    Some(status) => self.check(number, status),
                }
            }
            if self.shown.elapsed() >= SHOW_EVERY {
                self.show(read.iter().flatten().next());
            }
        }
    }

    fn check(&mut self, number: usize, status: &Status) {
        self.samples += 1;
        if !status.adds_up() {
            let (replica, now) = (number + 1, self.ledger.now());
            let what = format!("the status of replica-{replica} does not add up");
            self.findings.add(&what, format!("{now:.1?}: {status:?}"));
        }
    }

    fn show(&mut self, status: Option<&Status>) {
        let sent = self.ledger.len();
        let number = |number: usize| count(u64::try_from(number).unwrap_or(u64::MAX));
        let seconds = self.shown.elapsed().as_secs().max(1);
        let rate = u64::try_from(sent - self.sent).unwrap_or(0) / seconds;
        (self.shown, self.sent) = (Instant::now(), sent);
        let account = status.map_or_else(
            || "no replica answers".to_owned(),
            |status| {
                let (processed, failed) = (count(status.processed), count(status.dead_lettered));
                let waiting = count(status.unfinished());
                format!("{processed} processed, {failed} failed, {waiting} waiting")
            },
        );
        let (at, sent) = (clock(self.ledger.now()), number(sent));
        warn(&format!("  {at}  {sent} sent ({rate}/s), {account}"));
    }
}

/// Minutes and seconds.
pub(super) fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{:>3}:{:02}", seconds / 60, seconds % 60)
}
