//! Where workers in another language work: the examples, run as a reader would run them.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::ExitStatus,
};

use anyhow::{Context, Result, ensure};
use local_stack::{Language, Service, binaries::workspace};
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
}

/// A running worker.
#[derive(Debug)]
pub struct Worker {
    process: Service,
    id: String,
}

impl Workshop {
    /// Opens one; `None`, and a line past the test's captured output, where the language is missing.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn open(language: Language) -> Result<Option<Self>> {
        let interpreter = match language.find() {
            Ok(interpreter) => interpreter,
            Err(why) => {
                let text = format!("SKIPPED: the examples in {language} do not run: {why:#}\n");
                std::io::stderr().write_all(text.as_bytes())?;
                return Ok(None);
            }
        };
        Ok(Some(Self {
            language,
            interpreter,
            directory: tempfile::tempdir()?,
        }))
    }

    /// Starts a worker of the group at this URL; it may not be registered yet.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&self, group_url: &str) -> Result<Worker> {
        self.run(
            &workspace().join(self.script()),
            group_url,
            "127.0.0.1",
            &[],
        )
    }

    /// Starts a worker whose `work` takes for granted that a message has a `text`, and that it is one.
    ///
    /// # Errors
    /// When it cannot be started, or `work` is not as it was.
    pub fn start_working_on_text(&self, group_url: &str) -> Result<Worker> {
        let (right, wrong) = match self.language {
            Language::Python | Language::Flask => (
                r#"return message["message_id"]"#,
                r#"return message["text"]"#,
            ),
            Language::Node => ("return message.message_id", "return message.text"),
            Language::Shell => ("jq -r '.message_id |", "jq -r '.text |"),
        };
        let text = std::fs::read_to_string(workspace().join(self.script()))?;
        ensure!(
            text.contains(right),
            "`{right}` is not in {}",
            self.script()
        );
        let file = Path::new(self.script()).file_name().context("a name")?;
        let script = self.directory.path().join(file);
        std::fs::write(&script, text.replace(right, wrong))?;
        self.run(&script, group_url, "127.0.0.1", &[])
    }

    /// Starts a worker that listens on all addresses and tells the group this host.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_advertised(&self, group_url: &str, host: &str) -> Result<Worker> {
        let env = [("HOST", "0.0.0.0"), ("ADVERTISED_HOST", host)];
        self.run(&workspace().join(self.script()), group_url, host, &env)
    }

    fn script(&self) -> &'static str {
        match self.language {
            Language::Python => "examples/python/worker.py",
            Language::Flask => "examples/flask/worker.py",
            Language::Node => "examples/node/worker.mjs",
            Language::Shell => "examples/shell/worker.sh",
        }
    }

    fn run(&self, script: &Path, group: &str, host: &str, env: &[(&str, &str)]) -> Result<Worker> {
        let port = fixed_port()?.to_string();
        let mut command = self.command(script);
        command.env("PORT", &port).env("GROUP", group);
        command.envs(env.iter().copied());
        Ok(Worker {
            process: Service::spawn_other(script, command)?,
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
            Language::Python | Language::Flask => "examples/python/publish.py",
            Language::Node => "examples/node/publish.mjs",
            Language::Shell => "examples/shell/publish.sh",
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

    /// Takes away what the workers store their results in.
    ///
    /// # Errors
    /// When there is nothing of that kind.
    pub fn ruin_results(&self) -> Result<()> {
        match self.language {
            Language::Python | Language::Flask => {
                let drop =
                    "import sqlite3; sqlite3.connect('results.db').execute('DROP TABLE results')";
                let mut command = std::process::Command::new(&self.interpreter);
                command
                    .args(["-c", drop])
                    .current_dir(self.directory.path());
                ensure!(command.status()?.success(), "the workers store nothing");
            }
            Language::Node | Language::Shell => {
                std::fs::remove_dir_all(self.directory.path().join("results"))?;
            }
        }
        Ok(())
    }

    fn command(&self, script: &Path) -> Command {
        let mut command = Command::new(&self.interpreter);
        command.arg(script);
        command.current_dir(self.directory.path());
        for name in ["HOST", "ADVERTISED_HOST"] {
            command.env_remove(name);
        }
        command
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
}
