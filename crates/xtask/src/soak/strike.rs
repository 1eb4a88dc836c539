//! Making a mishap happen, and ending it.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use local_stack::{
    Fault, Signal,
    redis::{InfoDict, aio::MultiplexedConnection, cmd},
};
use tokio::{
    sync::RwLock,
    time::{Instant, sleep},
};

use super::{
    mishap::{Link, Mishap, Process},
    system::{System, subscribers},
};

/// How often scripts are forgotten.
const FLUSH_EVERY: Duration = Duration::from_millis(100);

/// How much more memory Redis may use until it refuses to write, in bytes.
const LAST_MEMORY: u64 = 64 << 10;

/// How long nothing is published before Redis is killed: longer than it takes to write to its file what
/// it has acknowledged (`appendfsync everysec`).
const QUIET: Duration = Duration::from_millis(1500);

/// How long that may take at the most.
const QUIET_AT_MOST: Duration = Duration::from_secs(30);

/// Whoever publishes holds this shared; whoever needs quiet, alone.
pub(super) type Gate = RwLock<()>;

impl System {
    /// Makes it happen and ends it; the system may not be well yet afterwards.
    pub(super) async fn strike(&mut self, mishap: Mishap, gate: &Gate) -> Result<()> {
        match mishap {
            Mishap::Kill(process, off) => {
                self.part(process).service.kill().await?;
                sleep(off).await;
                self.part(process).start_again().await
            }
            Mishap::Terminate(process, off) => {
                self.part(process).terminate().await?;
                sleep(off).await;
                self.part(process).start_again().await
            }
            Mishap::Freeze(process, time) => self.freeze(process, time).await,
            Mishap::Network(link, fault, time) => {
                let proxy = match link {
                    Link::ToRedis(process) => &self.to_redis[process.place()],
                    Link::ToConsumer(number) => &self.to_consumer[number],
                };
                proxy.set(fault);
                sleep(time).await;
                proxy.set(Fault::Pass);
                Ok(())
            }
            Mishap::CutSubscriber(number) => {
                cut_subscriber(&mut self.connect().await?, number).await
            }
            Mishap::FlushScripts(time) => flush_scripts(&mut self.connect().await?, time).await,
            Mishap::FillMemory(time) => fill_memory(&mut self.connect().await?, time).await,
            Mishap::FreezeRedis(time) => {
                self.redis.freeze()?;
                sleep(time).await;
                self.redis.thaw()
            }
            Mishap::KillRedis(off) => self.kill_redis(off, gate).await,
        }
    }

    async fn freeze(&mut self, process: Process, time: Duration) -> Result<()> {
        let service = &self.part(process).service;
        service.signal(Signal::SIGSTOP)?;
        sleep(time).await;
        service.signal(Signal::SIGCONT)
    }

    /// Kills Redis in a quiet moment, and lets nothing be published before all is well again.
    async fn kill_redis(&mut self, off: Duration, gate: &Gate) -> Result<()> {
        let _quiet = gate.write().await;
        self.well().await?;
        sleep(QUIET).await;
        self.written().await?;
        self.redis.kill().await?;
        sleep(off).await;
        self.redis.start_again().await?;
        self.well().await?;
        Ok(())
    }

    /// Waits until Redis keeps nothing back from its file.
    async fn written(&self) -> Result<()> {
        let mut redis = self.connect().await?;
        let started = Instant::now();
        loop {
            let about = info(&mut redis, "persistence").await?;
            let kept_back: Option<u64> = about.get("aof_buffer_length");
            if kept_back.context("Redis does not tell about its file")? == 0 {
                return Ok(());
            }
            if started.elapsed() > QUIET_AT_MOST {
                bail!("Redis does not write its file");
            }
            sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn info(redis: &mut MultiplexedConnection, section: &str) -> Result<InfoDict> {
    Ok(cmd("INFO").arg(section).query_async(redis).await?)
}

async fn cut_subscriber(redis: &mut MultiplexedConnection, number: usize) -> Result<()> {
    let subscribers = subscribers(redis).await?;
    let unlucky = subscribers.get(number).context("there is no subscriber")?;
    let mut command = cmd("CLIENT");
    command.arg("KILL").arg("ID").arg(unlucky.id);
    Ok(command.exec_async(redis).await?)
}

async fn flush_scripts(redis: &mut MultiplexedConnection, time: Duration) -> Result<()> {
    let started = Instant::now();
    while started.elapsed() < time {
        cmd("SCRIPT").arg("FLUSH").exec_async(redis).await?;
        sleep(FLUSH_EVERY).await;
    }
    Ok(())
}

async fn fill_memory(redis: &mut MultiplexedConnection, time: Duration) -> Result<()> {
    let about = info(redis, "memory").await?;
    let used: u64 = about.get("used_memory").context("no used memory")?;
    set(redis, "maxmemory-policy", "noeviction").await?;
    set(redis, "maxmemory", &(used + LAST_MEMORY).to_string()).await?;
    sleep(time).await;
    set(redis, "maxmemory", "0").await
}

async fn set(redis: &mut MultiplexedConnection, name: &str, value: &str) -> Result<()> {
    let mut command = cmd("CONFIG");
    command.arg(&["SET", name, value]);
    Ok(command.exec_async(redis).await?)
}
