//! Very many messages at once, with the bounds that the group has by default.

use anyhow::Result;
use indicatif::BinaryBytes;
use local_stack::RedisServer;
use serde::Serialize;

use super::{
    contestant::Contestant,
    round::{self, Fate},
    spread::whole,
    system::{Part, SystemOptions},
};
use crate::output::{count, step, table};

/// Who takes them from the queue.
const CONTESTANTS: [Contestant; 2] = [Contestant::PushBatch, Contestant::Pull];

/// The outcomes of the messages.
#[derive(Debug, Serialize)]
pub(super) struct Burst {
    contestant: Contestant,
    messages: u32,
    processed: u64,
    fate: Fate,
    /// Whether every message is in exactly one stream, once.
    adds_up: bool,
    seconds: f64,
    peak_group_bytes: u64,
    peak_redis_bytes: u64,
}

/// Publishes them all as fast as Redis takes them.
pub(super) async fn run(
    server: &RedisServer,
    messages: u32,
    consumers: usize,
) -> Result<Vec<Burst>> {
    let mut bursts = Vec::new();
    for contestant in CONTESTANTS {
        let number = count(messages.into());
        step(&format!("{number} messages at once, {}", contestant.name()));
        let options = SystemOptions::of(server, contestant, consumers);
        let carried = round::carry(messages, options).await?;
        let peak = |part| {
            let processes = carried
                .usage
                .processes
                .iter()
                .filter(|one| one.part == part);
            processes
                .filter_map(|one| one.peak_memory_bytes)
                .max()
                .unwrap_or(0)
        };
        bursts.push(Burst {
            contestant,
            messages,
            processed: carried.account.processed - carried.account.duplicates,
            fate: carried.fate(messages),
            adds_up: carried.account.adds_up(messages.into()),
            seconds: carried.seconds,
            peak_group_bytes: peak(Part::Group),
            peak_redis_bytes: peak(Part::Redis),
        });
    }
    Ok(bursts)
}

/// All bursts.
pub(super) fn shown(bursts: &[Burst]) -> String {
    let head = [
        "",
        "published",
        "processed",
        "failed",
        "lost",
        "twice",
        "messages/s",
        "peak memory: group",
        "Redis",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(bursts.iter().map(|burst| {
        let Fate {
            duplicates,
            lost,
            failed,
        } = burst.fate;
        let mut row = vec![burst.contestant.name().to_owned()];
        row.extend(
            [
                burst.messages.into(),
                burst.processed,
                failed,
                lost,
                duplicates,
            ]
            .map(count),
        );
        row.push(whole(f64::from(burst.messages) / burst.seconds));
        let peaks = [burst.peak_group_bytes, burst.peak_redis_bytes];
        row.extend(peaks.map(|bytes| BinaryBytes(bytes).to_string()));
        row
    }));
    table(&rows)
}
