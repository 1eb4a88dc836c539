//! Where workers in another language work: the examples, run as a reader would run them.

mod example;

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::ExitStatus,
};

use anyhow::{Context, Result, bail, ensure};
use local_stack::{Language, Service, Signal, binaries::workspace};
use tempfile::TempDir;
use tokio::process::Command;

use crate::{
    PATIENCE,
    services::{Ended, fixed_port, wait_until_joined},
};

/// A directory that the workers of one language share, and what runs them.
#[derive(Debug)]
pub struct Workshop {
    language: Language,
    interpreter: PathBuf,
    directory: TempDir,
    /// The worker, ready to run.
    worker: PathBuf,
}

/// How the workers of a workshop work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// As in the example.
    AsItIs,
    /// The same, but each message takes 20 ms more.
    Slowly,
    /// On the `text` of a message, taking for granted that it has one.
    OnText,
}

/// A running worker; it and all that it started end (SIGKILL) when this is dropped.
#[derive(Debug)]
pub struct Worker {
    process: Service,
    id: String,
}

impl Workshop {
    /// Opens one; `None`, and a line past the test's captured output, where the language is missing.
    ///
    /// # Errors
    /// When the directory cannot be made, the worker cannot be compiled, or its `work` is not as it was.
    pub fn open(language: Language, work: Work) -> Result<Option<Self>> {
        let Some(interpreter) = interpreter(language)? else {
            return Ok(None);
        };
        let directory = tempfile::tempdir()?;
        let example = workspace().join(example::script(language));
        let mut worker = match example::change(language, work) {
            None => example,
            Some((right, wrong)) => {
                let text = fs::read_to_string(&example)?;
                ensure!(text.contains(right), "no `{right}`: {}", example.display());
                let copy = directory
                    .path()
                    .join(example.file_name().context("a name")?);
                fs::write(&copy, text.replace(right, wrong))?;
                copy
            }
        };
        if language == Language::Go {
            worker = example::compile(&interpreter, &worker, directory.path())?;
        }
        Ok(Some(Self {
            language,
            interpreter,
            directory,
            worker,
        }))
    }

    /// Opens one for another script of the repository.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn of_script(language: Language, script: &str) -> Result<Option<Self>> {
        let Some(interpreter) = interpreter(language)? else {
            return Ok(None);
        };
        Ok(Some(Self {
            language,
            interpreter,
            directory: tempfile::tempdir()?,
            worker: workspace().join(script),
        }))
    }

    /// Starts a worker of the group at this URL; it may not be registered yet.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&self, group_url: &str) -> Result<Worker> {
        self.start_with(group_url, &[])
    }

    /// The same, with these variables in its environment.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_with(&self, group_url: &str, env: &[(&str, &str)]) -> Result<Worker> {
        self.run(group_url, "127.0.0.1", env)
    }

    /// Starts a worker that listens on all addresses and tells the group this host.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_advertised(&self, group_url: &str, host: &str) -> Result<Worker> {
        let env = [("HOST", "0.0.0.0"), ("ADVERTISED_HOST", host)];
        self.run(group_url, host, &env)
    }

    fn run(&self, group: &str, host: &str, env: &[(&str, &str)]) -> Result<Worker> {
        let port = fixed_port()?.to_string();
        let mut command = self.command(&self.worker);
        command.env("PORT", &port).env("GROUP", group);
        command.envs(env.iter().copied());
        Ok(Worker {
            process: Service::spawn_other(&self.worker, command)?,
            id: format!("{host}:{port}"),
        })
    }

    /// The same, registered.
    ///
    /// # Errors
    /// When it does not register in time.
    pub async fn join(&self, group: &Service) -> Result<Worker> {
        let worker = self.start(&group.url(""))?;
        wait_until_joined(group, &worker.id).await?;
        Ok(worker)
    }

    /// Runs the example that publishes, to its end.
    ///
    /// # Errors
    /// When it cannot be run or does not end in time.
    pub async fn publish(&self, url: &str, count: usize) -> Result<Ended> {
        let script = match self.language {
            Language::Python | Language::Asyncio | Language::Flask => "examples/python/publish.py",
            Language::Node => "examples/node/publish.mjs",
            Language::Shell => "examples/shell/publish.sh",
            Language::Go => bail!("there is no example in Go that publishes"),
        };
        let mut command = self.command(&workspace().join(script));
        command.args([url, &count.to_string()]);
        let mut process = Service::spawn_other(script.as_ref(), command)?;
        let status = process.wait_exit(PATIENCE).await?;
        Ok(Ended {
            code: status.code(),
            output: process.logs().join("\n"),
        })
    }

    fn command(&self, script: &Path) -> Command {
        let mut command = match self.language {
            Language::Go => Command::new(script),
            Language::Python
            | Language::Asyncio
            | Language::Flask
            | Language::Node
            | Language::Shell => {
                let mut command = Command::new(&self.interpreter);
                command.arg(script);
                command
            }
        };
        command.current_dir(self.directory.path()).process_group(0);
        for name in ["HOST", "ADVERTISED_HOST"] {
            command.env_remove(name);
        }
        command
    }
}

/// What runs the language; `None`, and a line past the test's captured output, where it is missing.
fn interpreter(language: Language) -> Result<Option<PathBuf>> {
    match language.find() {
        Ok(interpreter) => Ok(Some(interpreter)),
        Err(why) => {
            let text = format!("SKIPPED: {language} does not run: {why:#}\n");
            std::io::stderr().write_all(text.as_bytes())?;
            Ok(None)
        }
    }
}

impl Worker {
    /// The id it registers under.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The URL of a path (with its leading slash) at this worker.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.id)
    }

    /// All that it printed.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.process.logs()
    }

    /// The ids of the messages it said it has processed, in order, each as often as it said so.
    #[must_use]
    pub fn processed(&self) -> Vec<String> {
        let lines = self.process.logs();
        let ids = lines
            .iter()
            .filter_map(|line| line.strip_prefix("processed "));
        ids.map(str::to_owned).collect()
    }

    /// Asks it to end (SIGTERM) and waits for that.
    ///
    /// # Errors
    /// When it does not end in time.
    pub async fn terminate(&mut self) -> Result<ExitStatus> {
        self.process.terminate(PATIENCE).await
    }

    /// Waits for its end, which it comes to by itself.
    ///
    /// # Errors
    /// When it does not end in time.
    pub async fn wait_exit(&mut self) -> Result<ExitStatus> {
        self.process.wait_exit(PATIENCE).await
    }

    /// Ends it as a crash would (SIGKILL), with all that it started.
    ///
    /// # Errors
    /// When it has ended already.
    pub async fn kill(&mut self) -> Result<ExitStatus> {
        self.process.kill_group().await
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // In vain if it has ended; then it has ended what it started.
        drop(self.process.signal_group(Signal::SIGKILL));
    }
}
