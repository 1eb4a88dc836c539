//! What committing costs: batches through the commit script beside the same entries added plainly.
//!
//! Both ways alternate within one run, against a Redis of our own, and the figure is their ratio.
//! `cargo bench -p redis-bus --bench commit`; with `-- --json` for machines.

#![expect(clippy::print_stdout, reason = "the figures are what it is run for")]

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use local_stack::{PrivateRedis, redis};
use redis_bus::{
    Added, Connection, Endpoint, RedisSettings,
    commit::{Entry, ProcessedStream, Retention},
};
use tokio::task::JoinSet;

/// Entries of one batch.
const BATCH: usize = 500;

/// Batches of one measurement, shared by all connections.
const BATCHES: usize = 400;

/// Connections at once, so that Redis and not the client is the limit.
const CONNECTIONS: usize = 4;

/// How long a window is.
const WINDOW: Duration = Duration::from_secs(600);

/// Measurements of either way.
const ROUNDS: usize = 9;

#[tokio::main]
async fn main() -> Result<()> {
    let server = PrivateRedis::start(&[]).await?;
    let mut ratios = Vec::new();
    let (mut plain, mut committed) = (Vec::new(), Vec::new());
    let mut bytes_per_id = 0.0;
    for _ in 0..ROUNDS {
        flush(&server).await?;
        // As it is after some time: with a previous window to look into.
        measure(&server, WINDOW, 0).await?;
        rotate(&server).await?;
        let slow = measure(&server, WINDOW, 1).await?;
        bytes_per_id = remembered_bytes(&server).await?;
        flush(&server).await?;
        let fast = measure(&server, Duration::ZERO, 1).await?;
        plain.push(fast);
        committed.push(slow);
        ratios.push(slow / fast);
    }
    let [plain, committed, ratio] = [plain, committed, ratios].map(median);
    if std::env::args().any(|arg| arg == "--json") {
        println!(
            r#"{{"plain_per_second":{plain:.0},"committed_per_second":{committed:.0},"ratio":{ratio:.3},"bytes_per_id":{bytes_per_id:.1}}}"#
        );
    } else {
        println!("batches of {BATCH}, {CONNECTIONS} connections, medians of {ROUNDS} rounds");
        println!("XADD, pipelined:              {plain:.0} entries/s");
        println!("commit script:                {committed:.0} entries/s");
        println!("ratio:                        {ratio:.3}");
        println!("memory of a remembered id:    {bytes_per_id:.1} bytes (UUIDs)");
    }
    Ok(())
}

/// Entries a second.
async fn measure(server: &PrivateRedis, dedup_window: Duration, series: usize) -> Result<f64> {
    let mut work = JoinSet::new();
    for number in 0..CONNECTIONS {
        let number = series * CONNECTIONS + number;
        let settings = RedisSettings {
            host: "127.0.0.1".to_owned(),
            port: server.port(),
            url: None,
        };
        let connection = Connection::new(Endpoint::new(&settings)?);
        connection.ping().await?;
        let retention = Retention {
            dedup_window,
            max_len: 0,
        };
        let stream = ProcessedStream::new(connection, "messages:processed".to_owned(), retention);
        let batches: Vec<Vec<Entry>> = (0..BATCHES / CONNECTIONS)
            .map(|batch| {
                (0..BATCH)
                    .map(|place| entry(number, batch, place))
                    .collect()
            })
            .collect();
        work.spawn(async move {
            let started = Instant::now();
            for batch in &batches {
                for result in stream.commit(batch).await {
                    ensure!(
                        result? == Added::Created,
                        "an entry was taken for a duplicate"
                    );
                }
            }
            Ok(started.elapsed())
        });
    }
    let mut longest = Duration::ZERO;
    while let Some(elapsed) = work.join_next().await {
        longest = longest.max(elapsed??);
    }
    let entries = u32::try_from(BATCH * BATCHES)?;
    Ok(f64::from(entries) / longest.as_secs_f64())
}

/// An entry like those of the sample processor; its id has the form of a UUID.
fn entry(connection: usize, batch: usize, place: usize) -> Entry {
    let id = format!("{connection:08x}-{batch:04x}-4000-8000-{place:012x}");
    let fields = [
        ("message_id", &*id),
        ("consumer_id", "127.0.0.1:5001"),
        ("processed_at", "2026-01-01T00:00:00.000Z"),
        ("0123456789abcdef", "0123456789abcdef"),
    ];
    Entry {
        fields: fields.into_iter().collect(),
    }
}

/// Makes the current window the previous one: its time is over.
async fn rotate(server: &PrivateRedis) -> Result<()> {
    let mut connection = server.connect().await?;
    let (key, field): (&str, &str) = ("{messages:processed}:settled", "since");
    let since: i64 = redis::AsyncCommands::hget(&mut connection, key, field).await?;
    let over = since - i64::try_from(WINDOW.as_secs())?;
    Ok(redis::AsyncCommands::hset(&mut connection, key, field, over).await?)
}

async fn flush(server: &PrivateRedis) -> Result<()> {
    let mut connection = server.connect().await?;
    Ok(redis::cmd("FLUSHALL").exec_async(&mut connection).await?)
}

/// What Redis takes for one remembered id, in bytes.
async fn remembered_bytes(server: &PrivateRedis) -> Result<f64> {
    let mut connection = server.connect().await?;
    let (mut bytes, mut ids) = (0, 0);
    for set in ["0", "1"] {
        let key = format!("{{messages:processed}}:settled:{set}");
        let (used, count): (Option<u32>, u32) = redis::pipe()
            .cmd("MEMORY")
            .arg(&["USAGE", &key, "SAMPLES", "0"])
            .cmd("SCARD")
            .arg(&key)
            .query_async(&mut connection)
            .await?;
        bytes += used.unwrap_or(0);
        ids += count;
    }
    ensure!(ids > 0, "no id is remembered");
    Ok(f64::from(bytes) / f64::from(ids))
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}
