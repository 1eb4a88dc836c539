//! Packages of Python's index, in an environment below `target/`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use tokio::{io::AsyncWriteExt, process::Command, time::timeout};

use crate::binaries::workspace;

/// How long a step of an installation may take.
const INSTALL_DEADLINE: Duration = Duration::from_secs(240);

/// An environment with packages.
#[derive(Debug, Clone)]
pub(crate) struct Environment {
    home: PathBuf,
}

impl Environment {
    /// One of this name, new unless it has been made of the same; `fill` installs what it is made of.
    pub(crate) async fn of(
        name: &str,
        made_of: &str,
        fill: impl AsyncFnOnce(&Self) -> Result<()>,
    ) -> Result<Self> {
        let environment = Self {
            home: workspace().join("target").join(name),
        };
        // Written last, so that an installation that was cut short is made anew.
        let mark = environment.home.join("installed.txt");
        if fs::read_to_string(&mark).is_ok_and(|installed| installed == made_of) {
            return Ok(environment);
        }
        let mut venv = Command::new("python3");
        venv.args(["-m", "venv", "--clear"]).arg(&environment.home);
        output_of(&mut venv, "", INSTALL_DEADLINE).await?;
        fill(&environment).await?;
        fs::write(&mark, made_of).with_context(|| format!("cannot write {}", mark.display()))?;
        Ok(environment)
    }

    /// Has pip install this.
    pub(crate) async fn install(&self, args: &[&str]) -> Result<()> {
        let mut pip = self.python();
        pip.args(["-m", "pip", "install", "--quiet", "--no-input"])
            .arg("--disable-pip-version-check")
            .args(args);
        output_of(&mut pip, "", INSTALL_DEADLINE).await?;
        Ok(())
    }

    /// A program in it.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.home.join("bin").join(name)
    }

    /// Its Python, to be run in the workspace.
    pub(crate) fn python(&self) -> Command {
        let mut python = Command::new(self.program("python"));
        python.current_dir(workspace());
        python
    }
}

/// Runs a program to its end, and returns what it wrote; all it said is in the error, if it fails.
pub(crate) async fn output_of(
    command: &mut Command,
    input: &str,
    limit: Duration,
) -> Result<String> {
    let name = command.as_std().get_program().to_owned();
    let name = Path::new(&name).display();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot run {name}"))?;
    let mut stdin = child.stdin.take().context("no standard input")?;
    let talk = async {
        let written = async {
            // Who ends before it has read all of it says why.
            drop(stdin.write_all(input.as_bytes()).await);
            drop(stdin);
        };
        tokio::join!(written, child.wait_with_output()).1
    };
    let output = timeout(limit, talk).await;
    let output = output.with_context(|| format!("{name} has not ended within {limit:?}"))?;
    let output = output.with_context(|| format!("cannot run {name}"))?;
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout)?);
    }
    let said = [output.stdout, output.stderr].concat();
    bail!("{name} failed: {}", String::from_utf8_lossy(&said))
}
