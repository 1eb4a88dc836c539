//! What Redis alone can do: `redis-benchmark` adds the same entry to a stream.

use anyhow::{Context, Result, bail};
use local_stack::{RedisServer, Stack, redis};
use tokio::process::Command;

use crate::{account::first_entries, output::say};

/// The stream the entries go to.
const STREAM: &str = "bench:xadd";

const REQUESTS: u64 = 500_000;
const PIPELINE: &str = "64";
const CLIENTS: &str = "4";

/// Ends the services and measures with their Redis; answers entries a second.
pub(super) async fn run(server: &RedisServer, mut stack: Stack) -> Result<f64> {
    let program = server
        .tool("redis-benchmark")
        .context("redis-benchmark is not in PATH; it comes with the Redis server")?;
    let mut connection = stack.redis.connect().await?;
    let entries = first_entries(&mut connection, 1).await?;
    let (_, fields) = entries.into_iter().next().context("the stream is empty")?;
    for service in stack.consumers.iter_mut().chain([&mut stack.group]) {
        service.kill().await?;
    }
    redis::cmd("FLUSHALL").exec_async(&mut connection).await?;
    say("    redis-benchmark: the same entry, by XADD");
    let output = Command::new(program)
        .args(["-p", &stack.redis.port_text()])
        .args([
            "-P",
            PIPELINE,
            "-c",
            CLIENTS,
            "-n",
            &REQUESTS.to_string(),
            "-q",
        ])
        .args(["XADD", STREAM, "*"])
        .args(fields)
        .kill_on_drop(true)
        .output()
        .await
        .context("cannot run redis-benchmark")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let added: u64 = redis::AsyncCommands::xlen(&mut connection, STREAM).await?;
    // It sends whole pipelines, so there may be a few more.
    if !output.status.success() || added < REQUESTS {
        let error = String::from_utf8_lossy(&output.stderr);
        bail!("redis-benchmark added {added} of {REQUESTS} entries: {error}");
    }
    requests_per_second(&text).context("redis-benchmark told no requests per second")
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
