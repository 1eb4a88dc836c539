//! Looks at the group once a second, for the dashboard: keeps the history, and a snapshot for those
//! who watch.
//!
//! While nobody watches only the account is read. A snapshot is written once, however many watch.

mod reading;
mod snapshot;

use std::{
    collections::HashMap,
    error::Error,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use redis_bus::{Connection, dead_letters::DeadLetters};
use service_kit::{supervisor::Role, telemetry::chain};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use self::{
    reading::{Reading, rate},
    snapshot::{Letters, Outage, Reader, Redis, Snapshot},
};
use crate::observe::{
    history::{Feed, Point},
    status::{ConsumerStatus, Status},
};

/// How often it looks.
const EVERY: Duration = Duration::from_secs(1);

/// How long Redis may take to answer one look, so that a page does not take a slow Redis for a dead group.
const LOOK_TIMEOUT: Duration = Duration::from_millis(600);

/// What is said of a Redis that takes longer.
const NO_ANSWER: &str = "it does not answer in time";

/// The most readers of the queue that are told of.
const READERS: usize = 64;

/// The role that samples.
#[derive(Debug)]
pub(crate) struct Sampler {
    status: Status,
    connection: Connection,
    letters: DeadLetters,
    feed: Feed,
    /// The name under which this replica reads the queue.
    reader_name: String,
    before: Option<Reading>,
    /// Since when Redis has not told the account, and why.
    outage: Option<Outage>,
    taken: Option<Taken>,
}

/// How many messages each consumer had taken at one instant.
#[derive(Debug)]
struct Taken {
    at: Instant,
    messages: HashMap<String, u64>,
}

impl Sampler {
    pub(crate) fn new(
        status: Status,
        connection: Connection,
        letters: DeadLetters,
        feed: Feed,
        reader_name: String,
    ) -> Self {
        Self {
            status,
            connection,
            letters,
            feed,
            reader_name,
            before: None,
            outage: None,
            taken: None,
        }
    }

    /// Looks once.
    async fn sample(&mut self) {
        let point = match self.read().await {
            Ok(now) => {
                self.outage = None;
                let before = self.before.replace(now);
                before.map(|before| now.since(&before))
            }
            // The history has a gap here.
            Err(reason) => {
                let since_ms = self
                    .outage
                    .take()
                    .map_or_else(now_ms, |outage| outage.since_ms);
                self.outage = Some(Outage { since_ms, reason });
                None
            }
        };
        if let Some(point) = point {
            self.feed.push(point);
        }
        if self.feed.is_watched() {
            let snapshot = Box::pin(self.snapshot(point)).await;
            match serde_json::to_string(&snapshot) {
                Ok(json) => self.feed.show(json.into()),
                Err(cause) => warn!(%cause, "cannot write the snapshot for the dashboard"),
            }
        } else {
            self.taken = None;
        }
    }

    /// The account now, or why Redis does not tell it.
    async fn read(&self) -> Result<Reading, String> {
        match timeout(LOOK_TIMEOUT, self.status.account()).await {
            Ok(Ok((account, buffered))) => Ok(Reading::new(account, buffered)),
            Ok(Err(cause)) => Err(reason(&cause)),
            Err(_) => Err(NO_ANSWER.to_owned()),
        }
    }

    async fn snapshot(&mut self, point: Option<Point>) -> Snapshot {
        let (account, buffered) = self
            .before
            .map(|reading| (reading.account, reading.buffered))
            .unwrap_or_default();
        let status = self.status.with(account, buffered);
        let consumer_rates = self.consumer_rates(status.consumers());
        let (redis, oldest_seconds, readers, letters) = tokio::join!(
            self.redis(),
            self.oldest(),
            self.readers(),
            within(self.letters.latest())
        );
        Snapshot {
            at_ms: now_ms(),
            point,
            status,
            account_at_ms: self.before.map(|reading| reading.at_ms),
            outage: self.outage.clone(),
            consumer_rates,
            oldest_seconds,
            subscribed_since: self
                .status
                .subscription
                .subscribed_since()
                .map(snapshot::rfc3339),
            redis,
            readers,
            dead_letters: letters.map(Letters::from),
        }
    }

    /// How many messages a second each consumer took since the last look.
    fn consumer_rates(&mut self, consumers: &[ConsumerStatus]) -> HashMap<String, f64> {
        let taken = |consumer: &ConsumerStatus| (consumer.consumer_id.clone(), consumer.taken());
        let now = Taken {
            at: Instant::now(),
            messages: consumers.iter().map(taken).collect(),
        };
        let before = self.taken.replace(now);
        let (Some(before), Some(now)) = (before, &self.taken) else {
            return HashMap::new();
        };
        let elapsed = now.at - before.at;
        let rates = now.messages.iter().filter_map(|(id, taken)| {
            let before = *before.messages.get(id)?;
            Some((id.clone(), rate(before, *taken, elapsed)))
        });
        rates.collect()
    }

    async fn redis(&self) -> Redis {
        let asked = Instant::now();
        let trouble = match timeout(LOOK_TIMEOUT, self.connection.ping()).await {
            Ok(Ok(())) => None,
            Ok(Err(cause)) => Some(reason(&cause)),
            Err(_) => Some(NO_ANSWER.to_owned()),
        };
        let took = asked.elapsed().as_secs_f64() * 1000.0;
        Redis {
            at: self.connection.endpoint().at().to_owned(),
            ping_ms: trouble.is_none().then_some(took),
            trouble,
        }
    }

    async fn oldest(&self) -> Option<f64> {
        let age = within(self.status.queue.oldest_age()).await?;
        Some(age.unwrap_or_default().as_secs_f64())
    }

    async fn readers(&self) -> Option<Vec<Reader>> {
        let readers = within(self.status.queue.readers(READERS)).await?;
        let told = readers
            .into_iter()
            .map(|reader| Reader::new(reader, &self.reader_name));
        Some(told.collect())
    }
}

/// Why Redis fails: in the words of the system or of Redis, since the page says where it is.
fn reason(cause: &(dyn Error + 'static)) -> String {
    chain(cause.source().unwrap_or(cause))
}

/// What Redis answers, if it does so in time.
async fn within<T, E>(asked: impl Future<Output = Result<T, E>>) -> Option<T> {
    timeout(LOOK_TIMEOUT, asked).await.ok()?.ok()
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

impl Role for Sampler {
    async fn run(&mut self, cancelled: CancellationToken) {
        let mut tick = interval(EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = cancelled.cancelled() => return,
                _ = tick.tick() => {}
            }
            tokio::select! {
                () = cancelled.cancelled() => return,
                () = self.sample() => {}
            }
        }
    }
}
