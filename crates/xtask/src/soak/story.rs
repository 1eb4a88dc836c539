//! The course of a run: warm up, one mishap after the other, and to the end.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use local_stack::redis::{Value, aio::MultiplexedConnection, pipe};
use protocol::keys::{PROCESSED_STREAM, in_slot_of};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::time::{Instant, sleep};

use super::{
    ledger::Ledger, log::Log, mishap::Deck, services::Held, status::Status, strike::Gate,
    system::System, watch::clock,
};
use crate::output::say;

/// How long the load runs before anything goes wrong.
const WARM_UP: Duration = Duration::from_secs(5);

/// How long all is well between two mishaps, in milliseconds.
const CALM_MS: std::ops::RangeInclusive<u64> = 1_000..=3_000;

/// How long emptying the queue may take at the end.
const DRAIN_DEADLINE: Duration = Duration::from_secs(90);

/// How often it is looked whether it is empty.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The name of the reading group of the queue.
const STREAM_GROUP: &str = "consumer-group";

/// What happens in a run.
#[derive(Debug)]
pub(super) struct Story {
    deck: Deck,
    calm: StdRng,
    lasts: Duration,
    ledger: Ledger,
    pub(super) log: Log,
    /// What each service held after warming up.
    pub(super) first_held: Vec<Held>,
}

impl Story {
    pub(super) fn new(seed: u64, lasts: Duration, ledger: Ledger) -> Self {
        Self {
            deck: Deck::new(seed),
            calm: StdRng::seed_from_u64(!seed),
            lasts,
            ledger,
            log: Log::default(),
            first_held: Vec::new(),
        }
    }

    /// Lets one thing after the other go wrong until the time is over; closes the gate at the end, so that
    /// nothing is being sent any more when this returns.
    pub(super) async fn tell(&mut self, system: &mut System, gate: &Gate) -> Result<()> {
        let told = self.mishaps(system, gate).await;
        // Before the gate: nobody can finish sending to a frozen Redis.
        system.heal();
        let closed = gate.write().await;
        drop(closed);
        told
    }

    async fn mishaps(&mut self, system: &mut System, gate: &Gate) -> Result<()> {
        sleep(WARM_UP).await;
        self.first_held = system.held()?;
        let started = Instant::now();
        while started.elapsed() < self.lasts {
            let calm = self.calm.random_range(CALM_MS);
            sleep(Duration::from_millis(calm)).await;
            let mishap = self.deck.draw();
            let began = self.ledger.now();
            self.log.begin(mishap, began);
            let struck = system.strike(mishap, gate).await;
            struck.with_context(|| mishap.to_string())?;
            let well = system.well().await;
            let took = well.with_context(|| mishap.to_string())?;
            self.log.end(self.ledger.now());
            say(&format!(
                "  {}  {mishap}; well {took:.1?} later",
                clock(began)
            ));
        }
        Ok(())
    }
}

/// Waits until nothing is queued, in flight or buffered.
pub(super) async fn drained(system: &System) -> Result<()> {
    let mut redis = system.connect().await?;
    let started = Instant::now();
    loop {
        let waiting = match waiting(system, &mut redis).await {
            Ok(None) => return Ok(()),
            Ok(Some(waiting)) => waiting,
            Err(cause) => format!("{cause:#}"),
        };
        if started.elapsed() > DRAIN_DEADLINE {
            bail!("{DRAIN_DEADLINE:?} later: {waiting}");
        }
        sleep(LOOK_EVERY).await;
    }
}

/// What is still under way, if anything is.
async fn waiting(system: &System, redis: &mut MultiplexedConnection) -> Result<Option<String>> {
    let key = in_slot_of(PROCESSED_STREAM, "queue");
    let (length, (pending, ..)): (u64, (u64, Value, Value, Value)) = pipe()
        .xlen(&key)
        .cmd("XPENDING")
        .arg(&[&key, STREAM_GROUP])
        .query_async(redis)
        .await?;
    let mut buffered = 0;
    for url in system.replicas() {
        buffered += Status::read(&url).await?.buffered;
    }
    let is_empty = length + pending + buffered == 0;
    Ok((!is_empty)
        .then(|| format!("{length} queued, {pending} of them pending; {buffered} buffered")))
}
