//! Publishing a number of messages and waiting until all of them have come out.

use std::{process::Stdio, time::Duration};

use anyhow::{Context, Result, bail};
use local_stack::{Binaries, PrivateRedis, terminal};
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep},
};

use crate::{account, output::Progress};

/// How often the streams' lengths are asked for.
const POLL: Duration = Duration::from_millis(5);

/// How long nothing may come out until the rest counts as lost.
const STALLED_AFTER: Duration = Duration::from_secs(15);

/// A publisher that has been started.
#[derive(Debug)]
pub(crate) struct Publishing {
    /// It ends when this is dropped.
    process: Child,
}

impl Publishing {
    /// Starts a publisher that makes up so many messages, so many of them a second, and says nothing.
    pub(crate) fn start(
        binaries: &Binaries,
        redis: &PrivateRedis,
        messages: u64,
        rate: u64,
    ) -> Result<Self> {
        let process = terminal::placed(&mut Command::new(&binaries.publisher))
            .args(["--redisServerPort", &redis.port_text()])
            .args(["--count", &messages.to_string()])
            .args(["--rate", &rate.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start the publisher")?;
        Ok(Self { process })
    }

    /// The same for a year.
    pub(crate) fn trickle(binaries: &Binaries, redis: &PrivateRedis, rate: u64) -> Result<Self> {
        Self::start(binaries, redis, rate * 31_536_000, rate)
    }

    /// Ends it before it has published everything.
    pub(crate) async fn end(mut self) -> Result<()> {
        Ok(self.process.kill().await?)
    }

    /// Waits until it has published everything.
    pub(crate) async fn finish(&mut self) -> Result<()> {
        let status = self.process.wait().await?;
        if !status.success() {
            bail!("the publisher failed ({status})");
        }
        Ok(())
    }
}

/// Waits until as many messages are in the two streams, or nothing more comes.
pub(crate) async fn wait_until_settled(redis: &PrivateRedis, messages: u64) -> Result<()> {
    let mut connection = redis.connect().await?;
    let mut progress = Progress::start("messages processed", messages);
    let (mut settled, mut last_change) = (0, Instant::now());
    while settled < messages && last_change.elapsed() < STALLED_AFTER {
        let now = account::settled(&mut connection).await?;
        if now > settled {
            last_change = Instant::now();
        }
        settled = now;
        progress.show(settled);
        sleep(POLL).await;
    }
    Ok(())
}
