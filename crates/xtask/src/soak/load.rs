//! The load: what is published and posted, all the time.

use std::time::Duration;

use anyhow::{Result, bail};
use local_stack::redis::{aio::MultiplexedConnection, pipe};
use protocol::keys::PUBLISHED_CHANNEL;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use reqwest::header::CONTENT_TYPE;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::{
    ledger::{Fate, Kind, Ledger},
    mishap::REPLICAS,
    status::client,
    strike::Gate,
    system::connect,
};

/// How often something is published.
const BEAT: Duration = Duration::from_millis(20);

/// One of so many is a repeat of an earlier one…
const REPEATS: u32 = 30;

/// …malformed…
const MALFORMED: u32 = 100;

/// …or is rejected by consumers.
const REJECTED: u32 = 500;

/// One of so many goes by HTTP, at most so many in a request.
const POSTED: u32 = 30;
const POSTED_AT_ONCE: u32 = 8;

/// How long a request may take.
const POST_TIMEOUT: Duration = Duration::from_secs(5);

/// How long to wait after something could not be sent.
const TRY_AGAIN: Duration = Duration::from_millis(200);

/// What sends. It is dropped to end it, while the gate is closed: nothing is under way then.
#[derive(Debug)]
pub(super) struct Load<'a> {
    pub(super) rate: u32,
    pub(super) seed: u64,
    pub(super) ledger: Ledger,
    pub(super) gate: &'a Gate,
    pub(super) redis_port: u16,
    /// The base URLs of the replicas.
    pub(super) replicas: [String; REPLICAS],
}

impl Load<'_> {
    /// Sends until it is dropped.
    pub(super) async fn run(&self) {
        tokio::join!(self.publish(), self.post());
    }

    async fn publish(&self) {
        let mut rng = StdRng::seed_from_u64(self.seed);
        let mut connection = None;
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let beats = 1_000 / u32::try_from(BEAT.as_millis()).unwrap_or(1);
        let mut owed = 0;
        loop {
            beat.tick().await;
            let asked = Instant::now();
            let _open = self.gate.read().await;
            if asked.elapsed() > BEAT {
                // Redis may have been another one by now; what fails to be sent is not known.
                connection = None;
            }
            owed += self.rate;
            let numbers: Vec<_> = (0..owed / beats).map(|_| self.pick(&mut rng)).collect();
            owed %= beats;
            if numbers.is_empty() {
                continue;
            }
            let fates = match self.publish_all(&mut connection, &numbers).await {
                Ok(reached) => reached.into_iter().map(Fate::Reached).collect(),
                Err(_) => {
                    connection = None;
                    sleep(TRY_AGAIN).await;
                    vec![Fate::Unknown; numbers.len()]
                }
            };
            for (number, fate) in numbers.into_iter().zip(fates) {
                self.ledger.note(number, fate);
            }
        }
    }

    /// Something new, or something sent before.
    fn pick(&self, rng: &mut StdRng) -> usize {
        let sent = self.ledger.len();
        if sent > 0 && rng.random_ratio(1, REPEATS) {
            return rng.random_range(0..sent);
        }
        self.ledger.open(if rng.random_ratio(1, REJECTED) {
            Kind::Rejected
        } else if rng.random_ratio(1, MALFORMED) {
            [Kind::NotJson, Kind::WithoutId][rng.random_range(0..2)]
        } else {
            Kind::Message
        })
    }

    /// Publishes in one go; answers how many subscribers each reached.
    async fn publish_all(
        &self,
        connection: &mut Option<MultiplexedConnection>,
        numbers: &[usize],
    ) -> Result<Vec<u64>> {
        let connection = match connection {
            Some(connection) => connection,
            none => none.insert(connect(self.redis_port).await?),
        };
        let mut pipeline = pipe();
        for number in numbers {
            let payload = self.ledger.payload(*number).unwrap_or_default();
            pipeline.cmd("PUBLISH").arg(PUBLISHED_CHANNEL).arg(payload);
        }
        Ok(pipeline.query_async(connection).await?)
    }

    async fn post(&self) {
        let mut rng = StdRng::seed_from_u64(!self.seed);
        let mut replica = 0;
        loop {
            let count = rng.random_range(1..=POSTED_AT_ONCE);
            sleep(Duration::from_secs(1) * POSTED * count / self.rate).await;
            let open = |_| self.ledger.open(Kind::Message);
            let numbers: Vec<_> = (0..count).map(open).collect();
            while !self.post_all(&self.replicas[replica], &numbers).await {
                replica = (replica + 1) % REPLICAS;
                sleep(TRY_AGAIN).await;
            }
        }
    }

    /// Posts in one request; says whether it was acknowledged.
    async fn post_all(&self, replica: &str, numbers: &[usize]) -> bool {
        let payload = |number: &usize| self.ledger.payload(*number);
        let lines: Vec<_> = numbers.iter().filter_map(payload).collect();
        let _open = self.gate.read().await;
        let posted = post(replica, lines.join("\n")).await;
        let fate = match posted {
            Ok(()) => Fate::Acknowledged,
            Err(_) => Fate::Unknown,
        };
        for number in numbers {
            self.ledger.note(*number, fate);
        }
        fate == Fate::Acknowledged
    }
}

async fn post(replica: &str, lines: String) -> Result<()> {
    let request = client()?
        .post(format!("{replica}/messages"))
        .header(CONTENT_TYPE, "application/x-ndjson")
        .timeout(POST_TIMEOUT)
        .body(lines);
    let status = request.send().await?.status();
    if status.as_u16() != 202 {
        bail!("POST /messages answers {status}");
    }
    Ok(())
}
