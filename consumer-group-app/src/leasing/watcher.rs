//! Ends leases in time, and acts on what was said of their messages elsewhere.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use protocol::Position;
use redis_bus::chunk_queue::{LeaseNote, LeaseRecord, Leases, QueueError};
use service_kit::{log_throttle::LogThrottle, supervisor::Role, telemetry::chain};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{CameTo, Leasing, held::Held, workers::Workers};
use crate::{
    consumer::registry::ConsumerGroup,
    delivery::{Delivery, Ending, Outcome},
    queue::giving_back::{give_back, release},
};

/// How often leases are looked at that have ended here.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How often all are, because somebody may have settled them through another replica.
const LOOK_AT_ALL_EVERY: Duration = Duration::from_secs(1);

/// For how long messages wait here that nobody asks for; then another replica may have them.
const UNASKED: Duration = Duration::from_secs(2);

/// How many are looked up in one round trip.
const PIECE: usize = 1000;

/// How often a failure that lasts is logged.
const WARN_EVERY: Duration = Duration::from_secs(10);

/// The role that watches the leases of this replica.
#[derive(Debug)]
pub(crate) struct LeaseWatcher {
    leasing: Leasing,
    group: ConsumerGroup,
    /// The chunks that this replica was handed.
    chunks: Leases,
    /// Since when nobody asks for messages, of those who ever did.
    unasked_since: Option<Instant>,
    failures: LogThrottle,
}

impl LeaseWatcher {
    pub(crate) fn new(leasing: Leasing, group: ConsumerGroup, chunks: Leases) -> Self {
        Self {
            leasing,
            group,
            chunks,
            unasked_since: None,
            failures: LogThrottle::every(WARN_EVERY),
        }
    }

    /// Looks at the leases that have ended, or at all.
    async fn look(&self, at_all: bool) -> Result<(), QueueError> {
        let all = self.leasing.0.held.all();
        let looked_at: Vec<_> = match at_all {
            true => all,
            false => all
                .into_iter()
                .filter(|(.., has_ended)| *has_ended)
                .collect(),
        };
        for piece in looked_at.chunks(PIECE) {
            self.look_at(piece).await?;
        }
        Ok(())
    }

    async fn look_at(&self, held: &[(Position, u64, bool)]) -> Result<(), QueueError> {
        let queue = &self.leasing.0.recorder.queue;
        let positions: Vec<_> = held.iter().map(|(position, ..)| *position).collect();
        let notes = queue.lease_notes(&positions).await?;
        let (mut failed, mut late) = (Vec::new(), Vec::new());
        for (&(position, fence, has_ended), note) in held.iter().zip(notes) {
            match note {
                Some(LeaseNote::Leased(LeaseRecord { fence: other, .. })) if other == fence => {
                    late.extend(has_ended.then_some((position, fence)));
                }
                // Somebody else has it, or has done with it.
                Some(LeaseNote::Leased(_) | LeaseNote::Settled) => {
                    if let Some(held) = self.leasing.0.held.take_as(position, fence) {
                        held.worker.release(1);
                        held.delivery.finish(Ending::Released);
                    }
                }
                Some(LeaseNote::CameTo(json)) => {
                    let outcome = outcome_of(&json);
                    failed.extend(self.taken(position, fence, outcome));
                }
                None if has_ended => {
                    failed.extend(self.taken(position, fence, Outcome::TimedOut));
                }
                // What was deleted by somebody ends in time.
                None => {}
            }
        }
        // It may have been extended through another replica.
        let positions: Vec<_> = late.iter().map(|(position, _)| *position).collect();
        let lasts = queue.leases_last(&positions).await?;
        for ((position, fence), lasts) in late.into_iter().zip(lasts) {
            if lasts.is_zero() {
                failed.extend(self.taken(position, fence, Outcome::TimedOut));
            } else {
                self.leasing.0.held.lasts(position, fence, lasts);
            }
        }
        self.leasing.give_back_all(failed).await;
        Ok(())
    }

    fn taken(&self, position: Position, fence: u64, outcome: Outcome) -> Option<(Held, Outcome)> {
        let held = self.leasing.0.held.take_as(position, fence)?;
        Workers::note(&held.worker, &outcome);
        Some((held, outcome))
    }

    /// Gives back what waits here, if it was read for workers that fetch and nobody asks any more.
    async fn give_back_unasked(&mut self) {
        let leasing = &self.leasing.0;
        let is_asked = leasing.requests.wanted() > 0 || !self.group.candidates().is_empty();
        if is_asked || leasing.local_queue.is_empty() || !leasing.workers.are_any() {
            self.unasked_since = None;
            return;
        }
        let since = *self.unasked_since.get_or_insert_with(Instant::now);
        if since.elapsed() < UNASKED {
            return;
        }
        // Whoever is handed a chunk anew takes all of it that is not settled.
        let leased: HashSet<_> = leasing
            .held
            .all()
            .iter()
            .map(|(at, ..)| at.chunk())
            .collect();
        let waiting = leasing.local_queue.take(usize::MAX);
        let is_free = |delivery: &Delivery| !leased.contains(&delivery.leased.at.position.chunk());
        // What is dropped goes back to where it was.
        let waiting: Vec<_> = waiting.into_iter().filter(is_free).collect();
        let messages = waiting.len();
        if messages == 0 {
            return;
        }
        match give_back(&self.chunks, &waiting).await {
            Ok(()) => info!(messages, "gave back to the queue what nobody asks for here"),
            Err(cause) => self.warn(&cause),
        }
        release(waiting);
        self.unasked_since = None;
    }

    fn warn(&self, cause: &(dyn std::error::Error + 'static)) {
        if let Some(suppressed) = self.failures.due() {
            let cause = chain(cause);
            warn!(
                cause,
                suppressed, "cannot look after leases of messages; trying again"
            );
        }
    }
}

fn outcome_of(json: &str) -> Outcome {
    match CameTo::read(json) {
        Ok(came_to) => came_to.outcome,
        Err(cause) => Outcome::Failed(format!("what the worker said cannot be read: {cause}")),
    }
}

impl Leasing {
    /// What is known of messages that were handed out before, for those that are leased with how long that lasts.
    pub(crate) async fn notes(
        &self,
        positions: &[Position],
    ) -> Result<HashMap<Position, (LeaseNote, Duration)>, QueueError> {
        let queue = &self.0.recorder.queue;
        let (notes, lasts) =
            tokio::try_join!(queue.lease_notes(positions), queue.leases_last(positions))?;
        let known = positions.iter().zip(notes.into_iter().zip(lasts));
        let known = known.filter_map(|(position, (note, lasts))| Some((*position, (note?, lasts))));
        Ok(known.collect())
    }

    /// Takes over a message that another replica had, and of which that is known.
    pub(crate) async fn take_over(&self, mut delivery: Delivery, note: LeaseNote, lasts: Duration) {
        match note {
            LeaseNote::Leased(record) if !lasts.is_zero() => {
                let name = record.worker.parse().ok();
                // Without room for one more worker, its messages go to others.
                let Some(worker) = name.and_then(|name| self.0.workers.of(&name, 0)) else {
                    return;
                };
                delivery.leased.begin_attempt();
                self.hold(Held {
                    fence: record.fence,
                    worker,
                    until: Instant::now() + lasts,
                    had_company: true,
                    delivery,
                });
            }
            LeaseNote::CameTo(json) => self.give_back(delivery, outcome_of(&json)).await,
            LeaseNote::Settled => delivery.finish(Ending::Released),
            // It has ended just now: the delivery goes to the queue.
            LeaseNote::Leased(_) => {}
        }
    }
}

impl Role for LeaseWatcher {
    async fn run(&mut self, cancelled: CancellationToken) {
        let mut tick = interval(LOOK_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut look_at_all = Instant::now();
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                () = cancelled.cancelled() => return,
            }
            let at_all = Instant::now() >= look_at_all;
            if at_all {
                look_at_all = Instant::now() + LOOK_AT_ALL_EVERY;
            }
            if let Err(cause) = self.look(at_all).await {
                self.warn(&cause);
            }
            self.give_back_unasked().await;
        }
    }
}
