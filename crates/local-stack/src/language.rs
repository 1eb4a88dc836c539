//! What runs the examples in other languages: looked for on this machine, or installed.

use std::{
    fmt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use nix::unistd::geteuid;

use crate::{
    binaries::workspace,
    packages::{self, in_path},
};

/// The environment of Python's packages, inside the workspace.
const VENV: &str = "target/examples-venv";

/// What the examples in Python import that does not come with it.
const PYTHON_PACKAGES: [&str; 3] = ["-r", "examples/flask/requirements.txt", "redis"];

/// What the examples in shell call.
const SHELL_TOOLS: [&str; 4] = ["socat", "curl", "jq", "flock"];

/// A language there are examples in, with what they use of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Python with its standard library.
    Python,
    /// The same, with asyncio.
    Asyncio,
    /// Python with the packages Flask and redis, in an environment of their own.
    Flask,
    /// Node with its standard library.
    Node,
    /// The shell, with a few tools.
    Shell,
    /// Go with its standard library. It is large, so it is used where it is, and not installed.
    Go,
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Python => "Python",
            Self::Asyncio => "Python with asyncio",
            Self::Flask => "Python with Flask",
            Self::Node => "Node",
            Self::Shell => "shell",
            Self::Go => "Go",
        })
    }
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Python,
        Self::Asyncio,
        Self::Flask,
        Self::Node,
        Self::Shell,
        Self::Go,
    ];

    /// The program that runs a script, or compiles it.
    ///
    /// # Errors
    /// When it, or anything else the examples use, is missing; says what.
    pub fn find(self) -> Result<PathBuf> {
        match self {
            Self::Python | Self::Asyncio => {
                let python = program("python3")?;
                check(&python, "import sys; assert sys.version_info >= (3, 9)")
                    .context("python3 is older than 3.9")?;
                Ok(python)
            }
            Self::Flask => {
                let python = workspace().join(VENV).join("bin/python");
                check(&python, "import flask, redis, requests").with_context(|| {
                    format!("{VENV} has no Flask; `cargo xtask test` installs it")
                })?;
                Ok(python)
            }
            Self::Node => {
                let node = program("node")?;
                let is_new = "process.exit(process.versions.node.split('.')[0] >= 20 ? 0 : 1)";
                succeeds(Command::new(&node).args(["-e", is_new]))
                    .context("node is older than 20")?;
                Ok(node)
            }
            Self::Shell => {
                for tool in SHELL_TOOLS {
                    program(tool)?;
                }
                program("sh")
            }
            Self::Go => {
                let go = program("go")?;
                succeeds(Command::new(&go).arg("version"))?;
                Ok(go)
            }
        }
    }

    /// The same, after what is missing was installed, where that can be done.
    ///
    /// # Errors
    /// When it is still missing; says why.
    pub fn find_or_install(self) -> Result<PathBuf> {
        let found = self.find();
        if found.is_ok() {
            return found;
        }
        match self {
            Self::Flask => install_flask()?,
            Self::Shell if geteuid().is_root() => {
                packages::install("A tool for workers in shell", |manager| match manager {
                    "brew" => &["socat", "jq", "flock"],
                    _ => &["socat", "curl", "jq", "util-linux"],
                })?;
            }
            Self::Python | Self::Asyncio | Self::Node | Self::Shell | Self::Go => return found,
        }
        self.find()
    }
}

fn install_flask() -> Result<()> {
    let python = Language::Python.find()?;
    let venv = workspace().join(VENV);
    succeeds(Command::new(python).args(["-m", "venv"]).arg(&venv))?;
    let mut pip = Command::new(venv.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--retries", "1"]);
    succeeds(pip.args(PYTHON_PACKAGES)).context("PyPI is out of reach")
}

fn program(name: &str) -> Result<PathBuf> {
    in_path(name).with_context(|| format!("{name} is not in PATH"))
}

fn check(python: &Path, code: &str) -> Result<()> {
    succeeds(Command::new(python).args(["-c", code]))
}

/// Runs a program in the workspace; what it says on standard error is in the error.
fn succeeds(command: &mut Command) -> Result<()> {
    let shown = command.get_program().to_string_lossy().into_owned();
    let output = command
        .current_dir(workspace())
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {shown}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.trim().lines().last().unwrap_or_default().to_owned();
    ensure!(output.status.success(), "{shown} says: {last}");
    Ok(())
}
