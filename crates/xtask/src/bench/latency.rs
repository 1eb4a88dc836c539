//! How long it takes from publishing to the entry, at a steady pace, beside the bare path.
//!
//! The same probe publishes and reads in all cases; see `crates/contestants/src/probe.rs`.

use std::time::Duration;

use anyhow::Result;
use local_stack::RedisServer;
use serde::{Deserialize, Serialize};

use super::{
    contestant::Contestant,
    helper::Helper,
    spread::Spread,
    system::{System, SystemOptions},
};
use crate::output::{count, say, step, table};

/// Messages a second.
const RATE: u32 = 10_000;

/// How much longer than its time a probe may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The percentiles in the table, and those that are compared with the bare path's.
const SHOWN: [f64; 4] = [50.0, 99.0, 99.9, 100.0];
const COMPARED: [f64; 3] = [50.0, 99.0, 99.9];

/// All rounds, and what they come to.
#[derive(Debug, Serialize)]
pub(super) struct Latency {
    pub(super) messages_per_second: u32,
    seconds: u32,
    consumers: usize,
    pub(super) summary: Vec<Summary>,
    rounds: Vec<Round>,
}

/// What all rounds of a contestant come to.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    pub(super) contestant: Contestant,
    /// The medians of the rounds.
    pub(super) distribution: Vec<Point>,
    /// How many times as long as over the bare path in the same round; the medians of the rounds.
    times_bare: [f64; COMPARED.len()],
    /// Entries that did not come.
    missing: u64,
    /// How late behind its schedule the probe published, at most.
    late_us_p99: f64,
}

/// What the probe told of one contestant; rounds of the same number were run one after the other.
#[derive(Debug, Serialize)]
struct Round {
    number: u8,
    contestant: Contestant,
    #[serde(flatten)]
    told: Told,
}

#[derive(Debug, Serialize, Deserialize)]
struct Told {
    messages: u64,
    missing: u64,
    distribution: Vec<Point>,
    late_us_p99: f64,
    late_us_max: f64,
}

/// So many percent of the messages took so many microseconds at most.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Point {
    pub(super) percent: f64,
    pub(super) us: f64,
}

/// Lets the contestants take turns of so many seconds.
pub(super) async fn run(
    server: &RedisServer,
    number_of_rounds: u8,
    seconds: u32,
    consumers: usize,
) -> Result<Latency> {
    let mut rounds = Vec::new();
    for number in 1..=number_of_rounds {
        let rate = count(RATE.into());
        step(&format!(
            "Latency at {rate} messages/s, round {number} of {number_of_rounds}"
        ));
        for contestant in Contestant::WITH_LATENCY {
            let options = SystemOptions::of(server, contestant, consumers);
            let told = measure(seconds, options).await?;
            let (name, median) = (contestant.name(), at(&told.distribution, 50.0));
            say(&format!("    {name:<24} median {median:>6.0} us"));
            rounds.push(Round {
                number,
                contestant,
                told,
            });
        }
    }
    Ok(Latency {
        messages_per_second: RATE,
        seconds,
        consumers,
        summary: Contestant::WITH_LATENCY
            .map(|contestant| Summary::of(contestant, &rounds))
            .into(),
        rounds,
    })
}

async fn measure(seconds: u32, options: SystemOptions<'_>) -> Result<Told> {
    let system = System::start(options).await?;
    let (rate, time) = (RATE.to_string(), seconds.to_string());
    let args = ["probe", "--rate", &rate, "--seconds", &time];
    let mut probe = Helper::start(&system.redis, &args).await?;
    let limit = Duration::from_secs(seconds.into()) + PATIENCE;
    let told = probe.told(limit).await?;
    probe.finish(limit).await?;
    system.stop().await?;
    Ok(told)
}

/// The microseconds of a percentile; not a number where it was not told.
fn at(distribution: &[Point], percent: f64) -> f64 {
    let mut points = distribution.iter();
    let point = points.find(|point| point.percent.total_cmp(&percent).is_eq());
    point.map_or(f64::NAN, |point| point.us)
}

impl Summary {
    fn of(contestant: Contestant, all: &[Round]) -> Self {
        let rounds = || all.iter().filter(|round| round.contestant == contestant);
        let points = rounds().next().map(|round| &round.told.distribution);
        let median = |percent| {
            Spread::of(rounds().map(|round| at(&round.told.distribution, percent))).median
        };
        let median_point = |point: &Point| Point {
            us: median(point.percent),
            ..*point
        };
        let times_bare = COMPARED.map(|percent| {
            let ratio = |round: &Round| {
                let is_bare =
                    |one: &&Round| one.number == round.number && one.contestant == Contestant::Bare;
                let bare = all.iter().find(is_bare)?;
                let bare = at(&bare.told.distribution, percent);
                Some(at(&round.told.distribution, percent) / bare)
            };
            Spread::of(rounds().filter_map(ratio)).median
        });
        Self {
            contestant,
            distribution: points.into_iter().flatten().map(median_point).collect(),
            times_bare,
            missing: rounds().map(|round| round.told.missing).sum(),
            late_us_p99: rounds()
                .map(|round| round.told.late_us_p99)
                .fold(0.0, f64::max),
        }
    }
}

impl Latency {
    pub(super) fn table(&self) -> String {
        let head = [
            "",
            "p50 us",
            "p99 us",
            "p99.9 us",
            "most us",
            "times bare: p50",
            "p99",
            "p99.9",
            "missing",
            "late, p99 us",
        ];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        for summary in &self.summary {
            let mut row = vec![summary.contestant.name().to_owned()];
            let shown = SHOWN.map(|percent| at(&summary.distribution, percent));
            row.extend(shown.map(|us| format!("{us:.0}")));
            row.extend(summary.times_bare.map(|times| format!("{times:.1}")));
            row.push(count(summary.missing));
            row.push(format!("{:.0}", summary.late_us_p99));
            rows.push(row);
        }
        format!(
            "  {} messages/s for {} s, {} consumers, from the write of PUBLISH to the read of the entry;\n  \
             medians of all rounds; late is how far behind its schedule the probe wrote, at most\n\n{}",
            count(self.messages_per_second.into()),
            self.seconds,
            self.consumers,
            table(&rows),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contestants_are_compared_within_a_round() {
        let round = |number, contestant, us| Round {
            number,
            contestant,
            told: Told {
                messages: 1,
                missing: 1,
                distribution: COMPARED.map(|percent| Point { percent, us }).into(),
                late_us_p99: us,
                late_us_max: us,
            },
        };
        let ours = Contestant::PushBatch;
        let rounds = [
            round(1, Contestant::Bare, 10.0),
            round(1, ours, 20.0),
            round(2, Contestant::Bare, 100.0),
            round(2, ours, 400.0),
        ];
        let summary = Summary::of(ours, &rounds);
        assert_eq!(summary.times_bare, [3.0; 3]);
        assert_eq!(at(&summary.distribution, 99.0), 210.0);
        assert_eq!((summary.missing, summary.late_us_p99), (2, 400.0));
    }
}
