//! How many messages a second each contestant carries, and what that costs.

use anyhow::Result;
use indicatif::BinaryBytes;
use local_stack::RedisServer;
use serde::Serialize;

use super::{
    contestant::Contestant,
    round::{self, Fate, Round},
    spread::{Spread, whole},
    system::{LARGE_ROUND, Part, SystemOptions},
};
use crate::output::{count, say, step, table};

/// All rounds, and what they come to.
#[derive(Debug, Serialize)]
pub(super) struct Throughput {
    messages: u32,
    consumers: usize,
    pub(super) summary: Vec<Summary>,
    rounds: Vec<Round>,
}

/// What all rounds of a contestant come to.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    pub(super) contestant: Contestant,
    pub(super) messages_per_second: Spread,
    /// As a part of what the ceiling, and `redis-benchmark`, reached in the same round.
    pub(super) of_ceiling: Spread,
    of_xadd: Spread,
    fate: Option<Fate>,
    cpu_us_per_message: Cpu,
    /// The most of all rounds.
    peak_group_bytes: Option<u64>,
    peak_service_bytes: Option<u64>,
}

/// CPU time by what it is spent on: medians; `None` where there is no such process.
#[derive(Debug, Serialize)]
struct Cpu {
    services: Option<f64>,
    /// Of the one thread that all commands share.
    redis: f64,
    /// That without what it takes to publish the message and deliver it to one subscriber, in the same round.
    redis_beyond_publish: Option<f64>,
    /// With what sends the messages.
    all: Option<f64>,
}

/// Lets the contestants take turns.
pub(super) async fn run(
    server: &RedisServer,
    rounds: u8,
    messages: u32,
    consumers: usize,
) -> Result<Throughput> {
    let mut done = Vec::new();
    for number in 1..=rounds {
        step(&format!("Throughput, round {number} of {rounds}"));
        for contestant in [Contestant::ALL.as_slice(), &[Contestant::Publish]].concat() {
            let options = SystemOptions {
                group_args: &LARGE_ROUND,
                ..SystemOptions::of(server, contestant, consumers)
            };
            let round = round::run(number, messages, options).await?;
            let (name, rate) = (contestant.name(), whole(round.messages_per_second));
            say(&format!("    {name:<24} {rate:>9}/s"));
            done.push(round);
        }
    }
    Ok(Throughput {
        messages,
        consumers,
        summary: Contestant::ALL
            .map(|contestant| Summary::of(contestant, &done))
            .into(),
        rounds: done,
    })
}

impl Summary {
    fn of(contestant: Contestant, all: &[Round]) -> Self {
        let rounds: Vec<&Round> = all
            .iter()
            .filter(|round| round.contestant == contestant)
            .collect();
        let same_round = |round: &Round, other: Contestant| {
            let is_same = |one: &&Round| one.number == round.number && one.contestant == other;
            all.iter().find(is_same)
        };
        let beside = |other: Contestant| {
            Spread::of(rounds.iter().filter_map(|round| {
                let other = same_round(round, other)?;
                Some(round.messages_per_second / other.messages_per_second)
            }))
        };
        let beyond_publish = Spread::of(rounds.iter().filter_map(|round| {
            let publish = same_round(round, Contestant::Publish)?;
            Some(round.redis_us_per_message - publish.redis_us_per_message)
        }));
        let cpu = |parts: &[Part]| {
            let of_round = |round: &&Round| round.cpu_seconds_per_million(parts);
            let figures: Vec<_> = rounds.iter().filter_map(of_round).collect();
            (!figures.is_empty()).then(|| Spread::of(figures).median)
        };
        let peak = |parts: &[Part]| {
            let processes = rounds.iter().flat_map(|round| &round.processes);
            let of_parts = processes.filter(|one| parts.contains(&one.part));
            of_parts.filter_map(|one| one.peak_memory_bytes).max()
        };
        let services = [Part::Group, Part::Consumer];
        let redis_us = rounds.iter().map(|round| round.redis_us_per_message);
        Self {
            contestant,
            messages_per_second: Spread::of(rounds.iter().map(|round| round.messages_per_second)),
            of_ceiling: beside(Contestant::Ceiling),
            of_xadd: beside(Contestant::Xadd),
            fate: rounds
                .iter()
                .filter_map(|round| round.fate)
                .reduce(Fate::and),
            cpu_us_per_message: Cpu {
                services: cpu(&services),
                redis: Spread::of(redis_us).median,
                redis_beyond_publish: contestant
                    .is_beyond_publish()
                    .then_some(beyond_publish.median),
                all: cpu(&Part::ALL),
            },
            peak_group_bytes: peak(&[Part::Group]),
            peak_service_bytes: peak(&services),
        }
    }
}

impl Throughput {
    /// The tables: speed, then cost.
    pub(super) fn tables(&self) -> String {
        let speed = self.summary.iter().map(Summary::speed_row);
        let cost = self.summary.iter().map(Summary::cost_row);
        format!(
            "  {} messages, {} consumers or workers, one machine for everything, from the first publish to\n  \
             the last entry; medians (least to most); memory is the most of all rounds; CPU of Redis is that\n  \
             of its main thread, by INFO cpu, in all and without PUBLISH and its delivery\n\n{}\n{}",
            count(self.messages.into()),
            self.consumers,
            table(&[vec![SPEED.map(str::to_owned).to_vec()], speed.collect()].concat()),
            table(&[vec![COST.map(str::to_owned).to_vec()], cost.collect()].concat()),
        )
    }
}

const SPEED: [&str; 7] = [
    "",
    "messages/s",
    "of the ceiling",
    "of XADD",
    "lost",
    "twice",
    "failed",
];

const COST: [&str; 7] = [
    "",
    "CPU us a message: services",
    "Redis",
    "beyond PUBLISH",
    "all",
    "peak memory: group",
    "most of a service",
];

impl Summary {
    fn speed_row(&self) -> Vec<String> {
        let percent = |spread: Spread| format!("{:.1} %", spread.median * 100.0);
        let mut row = vec![
            self.contestant.name().to_owned(),
            self.messages_per_second.to_string(),
            percent(self.of_ceiling),
            percent(self.of_xadd),
        ];
        if let Some(fate) = self.fate {
            row.extend([fate.lost, fate.duplicates, fate.failed].map(count));
        }
        row
    }

    fn cost_row(&self) -> Vec<String> {
        let cpu = &self.cpu_us_per_message;
        let figure = |figure: Option<f64>| figure.map_or(String::new(), |us| format!("{us:.2}"));
        let memory = |bytes: Option<u64>| {
            bytes.map_or(String::new(), |bytes| BinaryBytes(bytes).to_string())
        };
        vec![
            self.contestant.name().to_owned(),
            figure(cpu.services),
            figure(Some(cpu.redis)),
            figure(cpu.redis_beyond_publish),
            figure(cpu.all),
            memory(self.peak_group_bytes),
            memory(self.peak_service_bytes),
        ]
    }
}
