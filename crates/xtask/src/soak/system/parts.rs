//! One of the processes, over all its lives.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail};
use local_stack::{Binaries, LogLines, Service};

use crate::soak::mishap::Process;

/// How long a process may take to end in order: longer than its grace period (20 s).
const END_DEADLINE: Duration = Duration::from_secs(60);

/// A process that is ended and started again.
#[derive(Debug)]
pub(in crate::soak) struct Part {
    pub(in crate::soak) process: Process,
    pub(in crate::soak) service: Service,
    /// What each of its lives logged, this one's last.
    pub(in crate::soak) logs: Vec<LogLines>,
    program: PathBuf,
    args: Vec<String>,
}

impl Part {
    pub(super) async fn start(
        process: Process,
        binaries: &Binaries,
        args: Vec<String>,
    ) -> Result<Self> {
        let program = match process {
            Process::Replica(_) => &binaries.group,
            Process::Pushed(_) | Process::Puller => &binaries.consumer,
        };
        let service = Service::start(program, &words(&args), &[]).await?;
        Ok(Self {
            process,
            logs: vec![service.log().clone()],
            service,
            program: program.clone(),
            args,
        })
    }

    /// Starts it again after it ended.
    pub(in crate::soak) async fn start_again(&mut self) -> Result<()> {
        let service = Service::start(&self.program, &words(&self.args), &[]).await;
        self.service = service.with_context(|| format!("{} does not start", self.process))?;
        self.logs.push(self.service.log().clone());
        Ok(())
    }

    /// Asks it to end, which it must do in order.
    pub(in crate::soak) async fn terminate(&mut self) -> Result<()> {
        let status = self.service.terminate(END_DEADLINE).await?;
        if !status.success() {
            bail!("{} ended with {status} after SIGTERM", self.process);
        }
        Ok(())
    }
}

fn words(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}
