//! A log that nobody reads: a blocked pipe, a log driver that hangs, a stopped terminal.

use std::{path::Path, process::Stdio};

use anyhow::{Context, Result, ensure};
use harness::{
    Bus, FakeConsumer, PATIENCE, PrivateRedis, Reply, calls,
    services::{binaries, fixed_port, group, redis, wait_for_members},
    wait_until,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

/// So many messages, a line of 1.5 KB about each at debug: more than the pipe and the services' memory hold.
const MESSAGES: usize = 1200;

/// Ids that are long in the log.
fn ids() -> Vec<String> {
    let long = "\u{1}".repeat(250);
    (0..MESSAGES).map(|n| format!("{n:05}-{long}")).collect()
}

async fn wait_until_finished(bus: &Bus) -> Result<()> {
    wait_until("all to be processed or given up", PATIENCE, async || {
        Ok(bus.finished().await? == MESSAGES)
    })
    .await
}

/// A service whose standard output and standard error are a pipe that nobody reads.
struct Muted {
    process: Child,
    output: ChildStdout,
    port: u16,
}

impl Muted {
    async fn start(program: &Path, redis: &PrivateRedis, args: &[&str]) -> Result<Self> {
        let port = fixed_port()?;
        let (port_text, redis_port) = (port.to_string(), redis.port_text());
        let mut process = Command::new("sh")
            .args(["-c", "exec \"$@\" 2>&1", "sh"])
            .arg(program)
            .args(["--logFormat", "json", "--logLevel", "debug"])
            .args([
                "--restApiPort",
                &port_text,
                "--redisServerPort",
                &redis_port,
            ])
            .args(args)
            .current_dir(std::env::temp_dir())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let output = process.stdout.take().context("no standard output")?;
        let muted = Self {
            process,
            output,
            port,
        };
        wait_until("the service to answer", PATIENCE, async || {
            Ok(muted.answers().await)
        })
        .await?;
        Ok(muted)
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    async fn answers(&self) -> bool {
        let answer = calls::get_from(&self.url("/health")).await;
        answer.is_ok_and(|answer| answer.status == 200)
    }

    /// A group whose only consumer refuses every message, which is a line in the log.
    async fn group(redis: &PrivateRedis) -> Result<(Self, FakeConsumer)> {
        let group = Self::start(&binaries().await?.group, redis, &[]).await?;
        wait_until("the group to be ready", PATIENCE, async || {
            let ready = calls::get_from(&group.url("/ready")).await?;
            Ok(ready.status == 200)
        })
        .await?;
        let consumer = FakeConsumer::start(Reply::status(422)).await?;
        let body = json!({ "consumer_id": consumer.id() });
        let answer = calls::post_to(&group.url("/register"), &body).await?;
        ensure!(answer.status == 200, "{answer:?}");
        Ok((group, consumer))
    }

    /// Reads on until the log tells how many lines were dropped; every line must be whole.
    async fn dropped(self) -> Result<u64> {
        let mut lines = BufReader::new(self.output).lines();
        let search = async {
            while let Some(line) = lines.next_line().await? {
                let line: Value = serde_json::from_str(&line).context(line)?;
                if let Some(dropped) = line["dropped"].as_u64() {
                    let said = line["message"].as_str().context("no message")?;
                    let expected =
                        format!("{dropped} log lines were dropped because nobody read the log");
                    ensure!(said == expected, "{line}");
                    return Ok(dropped);
                }
            }
            anyhow::bail!("nothing of dropped lines")
        };
        timeout(PATIENCE, search).await?
    }
}

#[tokio::test]
async fn a_group_whose_log_nobody_reads_works_on_and_tells_what_it_dropped() -> Result<()> {
    let redis = redis().await?;
    let (group, _consumer) = Muted::group(&redis).await?;
    let bus = Bus::of(&redis);
    bus.publish_ids(&ids()).await?;
    wait_until_finished(&bus).await?;
    ensure!(group.answers().await);
    let dropped = group.dropped().await?;
    assert!(
        dropped > 0 && dropped < 2 * u64::try_from(MESSAGES)?,
        "{dropped}"
    );
    Ok(())
}

#[tokio::test]
async fn a_consumer_whose_log_nobody_reads_works_on_and_tells_what_it_dropped() -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    let args = ["--consumerGroupAppPort", group.port_text()];
    let consumer = Muted::start(&binaries().await?.consumer, &redis, &args).await?;
    wait_for_members(&bus, &[&format!("127.0.0.1:{}", consumer.port)]).await?;
    bus.publish_ids(&ids()).await?;
    wait_until_finished(&bus).await?;
    ensure!(consumer.answers().await);
    let dropped = consumer.dropped().await?;
    assert!(
        dropped > 0 && dropped < 2 * u64::try_from(MESSAGES)?,
        "{dropped}"
    );
    Ok(())
}

#[tokio::test]
async fn a_group_whose_log_nobody_reads_ends_in_order() -> Result<()> {
    let redis = redis().await?;
    let (mut group, _consumer) = Muted::group(&redis).await?;
    let bus = Bus::of(&redis);
    bus.publish_ids(&ids()).await?;
    wait_until_finished(&bus).await?;
    let pid = group.process.id().context("it has ended")?.to_string();
    Command::new("kill").arg(&pid).status().await?;
    let status = timeout(PATIENCE, group.process.wait()).await??;
    assert_eq!(status.code(), Some(0));
    Ok(())
}
