//! What the queue costs Redis: microseconds of its CPU for each message, beside plain `XADD`s of the same
//! entries.
//!
//! All ways alternate within one run, against a Redis of our own.
//! `cargo bench -p redis-bus --bench queue`; with `-- --json` for machines.

#![expect(clippy::print_stdout, reason = "the figures are what it is run for")]

use std::{collections::HashMap, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use local_stack::{PrivateRedis, redis};
use protocol::{ChunkId, Fields, Position, QueueIdentity, StreamId};
use redis_bus::{
    Connection, Endpoint, Fingerprint, RedisSettings,
    chunk_queue::{Admission, Admitted, ChunkQueue, Offer, Settlement},
};

/// Messages of one measurement.
const MESSAGES: usize = 100_000;

/// Messages of each chunk, and how many are committed at once.
const WAYS: [(usize, usize); 5] = [(1, 1), (16, 64), (64, 256), (256, 256), (504, 504)];

/// Measurements of each way.
const ROUNDS: usize = 5;

/// What was measured, in microseconds of Redis's CPU for each message.
#[derive(Debug, Clone, Copy, Default)]
struct Cost {
    offer: f64,
    commit: f64,
}

#[tokio::main]
async fn main() -> Result<()> {
    let server = PrivateRedis::start(&[]).await?;
    let (mut plain, mut costs) = (Vec::new(), [const { Vec::new() }; WAYS.len()]);
    let mut bytes_per_id = 0.0;
    for _ in 0..ROUNDS {
        plain.push(added_plainly(&server).await?);
        for (costs, (chunk, commit)) in costs.iter_mut().zip(WAYS) {
            costs.push(queued(&server, chunk, commit).await?);
        }
        bytes_per_id = remembered_bytes(&server).await?;
    }
    let plain = median(plain);
    let costs = costs.map(|costs| Cost {
        offer: median(costs.iter().map(|cost| cost.offer).collect()),
        commit: median(costs.iter().map(|cost| cost.commit).collect()),
    });
    if std::env::args().any(|arg| arg == "--json") {
        let ways = WAYS
            .iter()
            .zip(costs)
            .map(|((chunk, _), cost)| format!(r#""{chunk}":{:.3}"#, cost.offer + cost.commit));
        let ways = ways.collect::<Vec<_>>().join(",");
        println!(r#"{{"xadd":{plain:.3},"chunks":{{{ways}}},"bytes_per_id":{bytes_per_id:.1}}}"#);
        return Ok(());
    }
    println!("microseconds of Redis's CPU for each message, medians of {ROUNDS} rounds");
    println!("XADD, pipelined:                   {plain:.2}");
    for ((chunk, commit), cost) in WAYS.iter().zip(costs) {
        let Cost {
            offer,
            commit: committing,
        } = cost;
        let whole = offer + committing;
        println!(
            "chunks of {chunk:3}, {commit:3} committed at once: {offer:.2} + {committing:.2} = {whole:.2}"
        );
    }
    println!("memory of a remembered id:         {bytes_per_id:.1} bytes");
    Ok(())
}

async fn added_plainly(server: &PrivateRedis) -> Result<f64> {
    let mut connection = server.connect().await?;
    redis::cmd("FLUSHALL").exec_async(&mut connection).await?;
    let before = cpu_micros(server).await?;
    for batch in 0..MESSAGES / 256 {
        let mut pipeline = redis::pipe();
        for number in 0..256 {
            let mut texts = Vec::new();
            let fields = fields(batch * 256 + number);
            texts.extend(fields.texts().map(str::to_owned));
            pipeline
                .cmd("XADD")
                .arg("messages:processed")
                .arg("*")
                .arg(texts)
                .ignore();
        }
        pipeline.exec_async(&mut connection).await?;
    }
    Ok((cpu_micros(server).await? - before) / float(MESSAGES / 256 * 256))
}

/// Messages are admitted in chunks, and committed so many at a time.
async fn queued(server: &PrivateRedis, per_chunk: usize, per_commit: usize) -> Result<Cost> {
    let mut connection = server.connect().await?;
    redis::cmd("FLUSHALL").exec_async(&mut connection).await?;
    let settings = RedisSettings {
        host: "127.0.0.1".to_owned(),
        port: server.port(),
        url: None,
    };
    let connection = Connection::new(Endpoint::new(&settings)?);
    let queue = ChunkQueue::new(connection, "messages:processed");
    let (identity, _) = queue.open().await?;
    let count = if per_chunk == 1 {
        MESSAGES / 10
    } else {
        MESSAGES
    };
    let before = cpu_micros(server).await?;
    let chunks = offer_all(&queue, &identity, count / per_chunk, per_chunk).await?;
    let offered = cpu_micros(server).await?;
    for chunks in chunks.chunks(per_commit.div_ceil(per_chunk)) {
        commit(&queue, &identity, chunks).await?;
    }
    let committed = cpu_micros(server).await?;
    let messages = float(chunks.len() * per_chunk);
    Ok(Cost {
        offer: (offered - before) / messages,
        commit: (committed - offered) / messages,
    })
}

async fn offer_all(
    queue: &ChunkQueue,
    identity: &QueueIdentity,
    chunks: usize,
    per_chunk: usize,
) -> Result<Vec<ChunkId>> {
    let admission = Admission {
        window: Duration::from_secs(600),
        reader: Some("bench".to_owned()),
    };
    let mut read_to = StreamId::ZERO;
    let mut offered = Vec::with_capacity(chunks);
    for number in 0..chunks {
        let ids: Vec<_> = (0..per_chunk)
            .map(|index| id(number * per_chunk + index))
            .collect();
        let message = |id: &String| {
            Bytes::from(format!(
                r#"{{"message_id":"{id}","number":12345,"text":"abcdefgh"}}"#
            ))
        };
        let messages: Vec<_> = ids.iter().map(message).collect();
        let fingerprints: Vec<_> = ids.iter().map(|id| Fingerprint::of(id)).collect();
        let offer = Offer {
            messages: &messages,
            fingerprints: &fingerprints,
            duplicates: 0,
            read_to: Some(read_to),
        };
        match queue.offer(identity, &admission, offer).await? {
            Admitted::Appended {
                chunk,
                is_handed_out: true,
            } => offered.push(chunk),
            other => bail!("the chunk was not handed out: {other:?}"),
        }
        read_to = offered[number].entry();
    }
    Ok(offered)
}

async fn commit(queue: &ChunkQueue, identity: &QueueIdentity, chunks: &[ChunkId]) -> Result<()> {
    let positions: Vec<_> = chunks.iter().copied().flat_map(Position::all).collect();
    let entries: Vec<_> = (0..positions.len()).map(fields).collect();
    let entries: Vec<_> = positions.into_iter().zip(&entries).collect();
    for settlement in queue.commit(identity, 0, &entries).await {
        ensure!(settlement? == Settlement::Settled, "it was settled before");
    }
    Ok(())
}

fn id(number: usize) -> String {
    format!("{number:08x}-0000-4000-8000-{number:012x}")
}

/// An entry like those of the sample processor.
fn fields(number: usize) -> Fields {
    [
        ("message_id", &*id(number)),
        ("consumer_id", "127.0.0.1:5001"),
        ("processed_at", "2026-01-01T00:00:00.000Z"),
        ("0123456789abcdef", "0123456789abcdef"),
    ]
    .into_iter()
    .collect()
}

/// The CPU time of Redis's main thread, in microseconds.
async fn cpu_micros(server: &PrivateRedis) -> Result<f64> {
    let mut connection = server.connect().await?;
    let info: String = redis::cmd("INFO")
        .arg("cpu")
        .query_async(&mut connection)
        .await?;
    let fields: HashMap<_, _> = info
        .lines()
        .filter_map(|line| line.split_once(':'))
        .collect();
    let seconds =
        |name| -> Result<f64> { Ok(fields.get(name).context("no such figure")?.trim().parse()?) };
    let (user, system) = (
        seconds("used_cpu_user_main_thread")?,
        seconds("used_cpu_sys_main_thread")?,
    );
    Ok((user + system) * 1e6)
}

/// What Redis takes for one remembered id, in bytes.
async fn remembered_bytes(server: &PrivateRedis) -> Result<f64> {
    let mut connection = server.connect().await?;
    let usage: u32 = redis::cmd("MEMORY")
        .arg(&["USAGE", "{messages:processed}:ids", "SAMPLES", "0"])
        .query_async(&mut connection)
        .await?;
    Ok(f64::from(usage) / float(MESSAGES))
}

fn float(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}
