//! One running service: its log, its address, its end.

mod launch;

use std::{path::Path, process::ExitStatus, time::Duration};

use anyhow::{Context, Result, bail};
use nix::{
    sys::signal::{self, Signal},
    unistd::Pid,
};
use serde_json::Value;
use tokio::{
    process::{Child, Command},
    task::JoinHandle,
    time::timeout,
};

use crate::{LogLines, PrivateNetwork, usage};

/// How long a service may take until it listens.
const START_DEADLINE: Duration = Duration::from_secs(20);

/// How long the rest of the log may take after the process has ended.
const LOG_DEADLINE: Duration = Duration::from_secs(2);

/// A service as a process of its own; the process ends (SIGKILL) when this is dropped.
#[derive(Debug)]
pub struct Service {
    name: String,
    process: Child,
    pid: u32,
    lines: LogLines,
    readers: Vec<JoinHandle<()>>,
    address: String,
    consumer_id: Option<String>,
}

impl Service {
    /// Starts a program and waits until it has logged `listening`.
    ///
    /// It runs in the system's temporary directory and without the environment's own settings, so
    /// that it does the same on every machine; `args` and `env` are all it is told.
    ///
    /// # Errors
    /// When it cannot be started, ends, or does not listen in time; its last log lines are in the
    /// error.
    pub async fn start(path: &Path, args: &[&str], env: &[(&str, &str)]) -> Result<Self> {
        Self::spawn(path, args, env)?.listening().await
    }

    /// Starts a program in a network of its own and waits until it has logged `listening`.
    ///
    /// # Errors
    /// As [`Service::start`].
    pub async fn start_in(network: &PrivateNetwork, path: &Path, args: &[&str]) -> Result<Self> {
        let [program, prefix @ ..] = network.prefix();
        let mut command = Command::new(program);
        command.args(prefix).arg(path);
        launch::launch(path, command, args, &[])?.listening().await
    }

    /// Waits until it has logged `listening`, as JSON; for one that was started by [`Service::spawn_other`].
    ///
    /// # Errors
    /// As [`Service::start`].
    pub async fn listening(mut self) -> Result<Self> {
        let service = &mut self;
        let line = tokio::select! {
            line = service.lines.wait_for(r#""message":"listening""#, START_DEADLINE) => line,
            status = service.process.wait() => Err(anyhow::anyhow!("it ended ({})", status?)),
        };
        let line = match line {
            Ok(line) => line,
            Err(cause) => {
                service.finish_reading().await;
                bail!(
                    "{} does not listen: {cause}\n{}",
                    service.name,
                    service.lines.tail()
                );
            }
        };
        let line: Value = serde_json::from_str(&line)?;
        let field = |name: &str| line[name].as_str().map(str::to_owned);
        service.address = field("address").context("`listening` was logged without `address`")?;
        service.consumer_id = field("consumer.id");
        Ok(self)
    }

    /// Starts a program and waits for nothing; for one that is meant to end, such as by bad settings.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(path: &Path, args: &[&str], env: &[(&str, &str)]) -> Result<Self> {
        launch::launch(path, Command::new(path), args, env)
    }

    /// Starts any command line, such as a worker in another language, and waits for nothing; `name` is what
    /// errors call it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn_other(name: &Path, command: Command) -> Result<Self> {
        launch::run(name, command)
    }

    /// Host and port it listens on, as it logged them; empty after a mere [`Service::spawn`].
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The URL of a path (with its leading slash) at this service.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Host, as it logged it.
    #[must_use]
    pub fn host(&self) -> &str {
        self.address.rsplit_once(':').map_or("", |(host, _)| host)
    }

    /// Port as text, for a command line.
    #[must_use]
    pub fn port_text(&self) -> &str {
        self.address.rsplit_once(':').map_or("", |(_, port)| port)
    }

    /// The id it registers under, where it is a consumer.
    #[must_use]
    pub fn consumer_id(&self) -> Option<&str> {
        self.consumer_id.as_deref()
    }

    /// The process id it has or had.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// What it has logged, as a handle that outlives it.
    #[must_use]
    pub fn log(&self) -> &LogLines {
        &self.lines
    }

    /// Every line it has logged, oldest first, bounded; standard error is among them.
    #[must_use]
    pub fn logs(&self) -> Vec<String> {
        self.lines.all()
    }

    /// Waits for a log line that contains `text`, or returns one that is there already.
    ///
    /// # Errors
    /// When none comes in time; the last lines are in the error.
    pub async fn wait_for_log(&self, text: &str, limit: Duration) -> Result<String> {
        self.lines.wait_for(text, limit).await
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When the process has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        signal::kill(self.running()?, signal)?;
        Ok(())
    }

    /// Asks it to end (SIGTERM) and waits for that.
    ///
    /// # Errors
    /// When the process has ended already, or does not end in time.
    pub async fn terminate(&mut self, limit: Duration) -> Result<ExitStatus> {
        self.signal(Signal::SIGTERM)?;
        self.wait_exit(limit).await
    }

    /// Ends it as a crash would (SIGKILL) and waits for that.
    ///
    /// # Errors
    /// When the process has ended already.
    pub async fn kill(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::SIGKILL)?;
        self.wait_exit(START_DEADLINE).await
    }

    /// Ends it and all that it started (SIGKILL); for one that leads a process group, such as a script.
    ///
    /// # Errors
    /// When the process has ended already.
    pub async fn kill_group(&mut self) -> Result<ExitStatus> {
        self.signal_group(Signal::SIGKILL)?;
        self.wait_exit(START_DEADLINE).await
    }

    /// Sends a signal to it and all that it started; for one that leads a process group.
    ///
    /// # Errors
    /// When the process has ended.
    pub fn signal_group(&self, signal: Signal) -> Result<()> {
        signal::killpg(self.running()?, signal)?;
        Ok(())
    }

    /// Waits for its end; all it logged is in [`Service::logs`] then.
    ///
    /// # Errors
    /// When it does not end in time; its last log lines are in the error.
    pub async fn wait_exit(&mut self, limit: Duration) -> Result<ExitStatus> {
        let Ok(status) = timeout(limit, self.process.wait()).await else {
            bail!(
                "{} has not ended within {limit:?}; its log ends:\n{}",
                self.name,
                self.lines.tail()
            );
        };
        self.finish_reading().await;
        Ok(status?)
    }

    /// As [`usage::peak_memory_bytes`].
    ///
    /// # Errors
    /// When the process has ended.
    pub fn peak_memory_bytes(&self) -> Result<u64> {
        usage::peak_memory_bytes(self.pid)
    }

    /// As [`usage::memory_bytes`].
    ///
    /// # Errors
    /// When the process has ended.
    pub fn memory_bytes(&self) -> Result<u64> {
        usage::memory_bytes(self.pid)
    }

    /// As [`usage::cpu_time`].
    ///
    /// # Errors
    /// When the process has ended.
    pub fn cpu_time(&self) -> Result<Duration> {
        usage::cpu_time(self.pid)
    }

    /// The id of the process, while it runs. Not the kept number: after the end it may be another process's.
    fn running(&self) -> Result<Pid> {
        let pid = self.process.id();
        let pid = pid.with_context(|| format!("{} has ended", self.name))?;
        Ok(Pid::from_raw(i32::try_from(pid)?))
    }

    async fn finish_reading(&mut self) {
        for mut reader in self.readers.drain(..) {
            // A reader that panicked, or whose pipe a grandchild holds open, has nothing more to say.
            if timeout(LOG_DEADLINE, &mut reader).await.is_err() {
                reader.abort();
            }
        }
    }
}

#[cfg(test)]
mod tests;
