//! What Redis does when it does nothing else: `redis-benchmark` adds an entry like ours to a stream.

use anyhow::{Context, Result, bail};
use local_stack::{PrivateRedis, RedisServer, redis};
use tokio::process::Command;

use super::usage::{RedisWatch, Usage};

/// The stream the entries go to.
const STREAM: &str = "bench:xadd";

const REQUESTS: u32 = 500_000;

/// So many at once, by so many connections.
const LOAD: [&str; 4] = ["-P", "64", "-c", "4"];

/// The fields of an entry as the sample processor makes it.
const FIELDS: [&str; 10] = [
    "message_id",
    "0b6f2a4e-7c1d-4e0a-9c53-1f2d3c4b5a69",
    "consumer_id",
    "127.0.0.1:50001",
    "processed_at",
    "2026-01-01T00:00:00.000Z",
    "text",
    "message 123456 of 200000",
    "random_01234567",
    "0123456789abcdef",
];

/// Entries a second, and what they cost Redis.
pub(super) async fn run(server: &RedisServer) -> Result<(f64, Usage)> {
    let program = server
        .tool("redis-benchmark")
        .context("redis-benchmark is not in PATH; it comes with the Redis server")?;
    let mut own = PrivateRedis::start_with(server, &[]).await?;
    let watch = RedisWatch::start(&own).await?;
    let output = Command::new(program)
        .args(["-p", &own.port_text(), "-n", &REQUESTS.to_string(), "-q"])
        .args(LOAD)
        .args(["XADD", STREAM, "*"])
        .args(FIELDS)
        .kill_on_drop(true)
        .output()
        .await
        .context("cannot run redis-benchmark")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let redis_us_per_message = watch.finish(REQUESTS).await?;
    let mut connection = own.connect().await?;
    let added: u32 = redis::AsyncCommands::xlen(&mut connection, STREAM).await?;
    own.kill().await?;
    // It sends whole pipelines, so there may be a few more.
    if !output.status.success() || added < REQUESTS {
        let error = String::from_utf8_lossy(&output.stderr);
        bail!("redis-benchmark added {added} of {REQUESTS} entries: {error}");
    }
    let rate = requests_per_second(&text);
    let usage = Usage {
        processes: Vec::new(),
        redis_us_per_message,
    };
    Ok((
        rate.context("redis-benchmark told no requests per second")?,
        usage,
    ))
}

/// Reads the last of `XADD …: 455373.41 requests per second, p50=0.455 msec`.
fn requests_per_second(text: &str) -> Option<f64> {
    let (before, _) = text.rsplit_once(" requests per second")?;
    before.split_whitespace().next_back()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figure_is_read_whatever_progress_stands_before_it() {
        let text = "XADD a: rps=1.0 (overall: 2.0)\r\
                    XADD a \"1 requests per second\": 455373.41 requests per second, p50=0.455 msec\n";
        assert_eq!(requests_per_second(text), Some(455_373.41));
        assert_eq!(requests_per_second("Could not connect"), None);
    }
}
