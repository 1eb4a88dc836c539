//! An empty Redis on a free port of the loopback address, that can be killed, frozen and restarted.

use std::{fs::File, net::TcpListener, path::Path, time::Duration};

use anyhow::{Context, Result, bail};
use nix::{
    sys::signal::{self, Signal},
    unistd::Pid,
};
use redis::{AsyncConnectionConfig, Client, InfoDict, aio::MultiplexedConnection};
use tempfile::TempDir;
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

use crate::{RedisServer, terminal};

/// How long a Redis may take to start or to stop; it may have a large file to read.
const DEADLINE: Duration = Duration::from_secs(60);

/// How often another port is tried when somebody took the free one before Redis did.
const PORTS_TRIED: u32 = 5;

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a command may take, long enough for a test that makes Redis sleep.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);

/// The file in the server's directory that takes what it says.
const LOG_FILE: &str = "server.log";

/// A Redis of our own; it ends, and its directory goes, when this is dropped.
#[derive(Debug)]
pub struct PrivateRedis {
    // Before the directory: the process ends before its files go.
    process: Child,
    directory: TempDir,
    server: RedisServer,
    port: u16,
    extra_args: Vec<String>,
}

impl PrivateRedis {
    /// Starts the server found in `PATH`; nothing is kept on disk unless the arguments say so.
    ///
    /// # Errors
    /// When there is no server, or it does not answer in time; its own words are in the error.
    pub async fn start(extra_args: &[&str]) -> Result<Self> {
        Self::start_with(&RedisServer::find()?, extra_args).await
    }

    /// Starts a certain server program.
    ///
    /// # Errors
    /// As [`PrivateRedis::start`].
    pub async fn start_with(server: &RedisServer, extra_args: &[&str]) -> Result<Self> {
        let extra_args: Vec<_> = extra_args.iter().map(|&arg| arg.to_owned()).collect();
        let mut tries_left = PORTS_TRIED;
        loop {
            let directory = tempfile::Builder::new()
                .prefix("private-redis-")
                .tempdir()?;
            let port = free_port()?;
            let mut redis = Self {
                process: spawn(server, directory.path(), port, &extra_args)?,
                directory,
                server: server.clone(),
                port,
                extra_args: extra_args.clone(),
            };
            tries_left -= 1;
            match redis.wait_until_ready().await {
                Ok(()) => return Ok(redis),
                Err(_) if tries_left > 0 && redis.log().contains("Address already in use") => {}
                Err(cause) => return Err(cause),
            }
        }
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The port as text, for a command line.
    #[must_use]
    pub fn port_text(&self) -> String {
        self.port.to_string()
    }

    /// The process id; `None` after the process has ended.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.id()
    }

    /// The directory Redis writes to.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// What the server has said so far.
    #[must_use]
    pub fn log(&self) -> String {
        let file = self.directory.path().join(LOG_FILE);
        std::fs::read_to_string(file).unwrap_or_default()
    }

    /// A new connection to it.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub async fn connect(&self) -> Result<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT));
        Client::open(("127.0.0.1", self.port))?
            .get_multiplexed_async_connection_with_config(&config)
            .await
            .with_context(|| format!("cannot connect to the private Redis on port {}", self.port))
    }

    /// Ends the process as a crash would (SIGKILL).
    ///
    /// # Errors
    /// When the process has ended already, or does not end.
    pub async fn kill(&mut self) -> Result<()> {
        self.signal(Signal::SIGKILL)?;
        self.ended().await
    }

    /// Ends the process in order (SIGTERM); it writes to disk what it was told to keep.
    ///
    /// # Errors
    /// When the process has ended already, or does not end in time.
    pub async fn stop(&mut self) -> Result<()> {
        self.signal(Signal::SIGTERM)?;
        self.ended().await
    }

    /// Starts the process again, after it ended, with the same port, directory and arguments.
    ///
    /// # Errors
    /// When it is still running, or does not answer in time.
    pub async fn start_again(&mut self) -> Result<()> {
        if self.pid().is_some() && self.process.try_wait()?.is_none() {
            bail!("the private Redis on port {} is still running", self.port);
        }
        self.process = spawn(
            &self.server,
            self.directory.path(),
            self.port,
            &self.extra_args,
        )?;
        self.wait_until_ready().await
    }

    /// Stops the process where it stands (SIGSTOP): connections stay open, nothing answers.
    ///
    /// # Errors
    /// When the process has ended.
    pub fn freeze(&self) -> Result<()> {
        self.signal(Signal::SIGSTOP)
    }

    /// Lets a frozen process go on (SIGCONT).
    ///
    /// # Errors
    /// When the process has ended.
    pub fn thaw(&self) -> Result<()> {
        self.signal(Signal::SIGCONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = self.pid().context("the private Redis has ended")?;
        signal::kill(Pid::from_raw(i32::try_from(pid)?), signal)?;
        Ok(())
    }

    async fn ended(&mut self) -> Result<()> {
        timeout(DEADLINE, self.process.wait())
            .await
            .with_context(|| format!("the private Redis did not end within {DEADLINE:?}"))??;
        Ok(())
    }

    async fn wait_until_ready(&mut self) -> Result<()> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait()? {
                bail!("the private Redis ended at once ({status}): {}", self.log());
            }
            if self.answers().await.unwrap_or(false) {
                return Ok(());
            }
            if started.elapsed() > DEADLINE {
                bail!(
                    "the private Redis did not answer within {DEADLINE:?}: {}",
                    self.log()
                );
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Whether our own process answers: another server may have taken the port.
    async fn answers(&self) -> Result<bool> {
        let mut connection = self.connect().await?;
        let about: InfoDict = redis::cmd("INFO")
            .arg("server")
            .query_async(&mut connection)
            .await?;
        redis::cmd("PING").exec_async(&mut connection).await?;
        Ok(about.get("process_id") == self.pid())
    }
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("cannot find a free port")?;
    Ok(listener.local_addr()?.port())
}

fn spawn(server: &RedisServer, directory: &Path, port: u16, extra: &[String]) -> Result<Child> {
    let log = File::options()
        .create(true)
        .append(true)
        .open(directory.join(LOG_FILE))?;
    terminal::placed(&mut Command::new(server.path()))
        .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--dir"])
        .arg(directory)
        .args(server.default_args())
        .args(extra)
        .stdin(std::process::Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot start {}", server.path().display()))
}

#[cfg(test)]
mod tests;
