//! Builds the services and knows where they are.

use std::{
    io::{IsTerminal, stderr},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use tokio::sync::OnceCell;

const GROUP: &str = "consumer-group-app";
const CONSUMER: &str = "consumer-app";
const PUBLISHER: &str = "publisher";

/// How the compiler optimises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Quick to build, slow to run.
    Dev,
    /// Slow to build, quick to run: the one to measure.
    Release,
}

/// The programs of this workspace, built.
#[derive(Debug, Clone)]
pub struct Binaries {
    /// The program `consumer-group-app`.
    pub group: PathBuf,
    /// The program `consumer-app`.
    pub consumer: PathBuf,
    /// The program `publisher`.
    pub publisher: PathBuf,
}

impl Binaries {
    /// Builds them, once in a process for each profile; Cargo's progress goes to the terminal, if there is one.
    ///
    /// # Errors
    /// When Cargo cannot be run or the build fails.
    pub async fn build(profile: Profile) -> Result<&'static Self> {
        static DEV: OnceCell<Binaries> = OnceCell::const_new();
        static RELEASE: OnceCell<Binaries> = OnceCell::const_new();
        let cell = match profile {
            Profile::Dev => &DEV,
            Profile::Release => &RELEASE,
        };
        cell.get_or_try_init(|| build(profile)).await
    }
}

/// The directory of the workspace this crate was built in.
#[must_use]
pub fn workspace() -> &'static Path {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    crates.and_then(Path::parent).unwrap_or(Path::new("."))
}

/// The Cargo that runs us, or the one in `PATH`.
#[must_use]
pub fn cargo() -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(workspace());
    command
}

async fn build(profile: Profile) -> Result<Binaries> {
    let names = [GROUP, CONSUMER, PUBLISHER];
    let [group, consumer, publisher] = build_programs(names, profile).await?;
    Ok(Binaries {
        group,
        consumer,
        publisher,
    })
}

/// Builds programs, each of the package of its name, and answers where each is; Cargo's progress goes to the terminal,
/// if there is one.
///
/// # Errors
/// When Cargo cannot be run or the build fails.
pub async fn build_programs<const N: usize>(
    names: [&str; N],
    profile: Profile,
) -> Result<[PathBuf; N]> {
    let mut command = cargo();
    command.args(["build", "--message-format", "json-render-diagnostics"]);
    if !stderr().is_terminal() {
        command.arg("--quiet");
    }
    for name in names {
        command.args(["--package", name, "--bin", name]);
    }
    if profile == Profile::Release {
        command.arg("--release");
    }
    let text = standard_output(command, "cargo build").await?;
    let mut paths = names.map(|_| PathBuf::new());
    for (path, name) in paths.iter_mut().zip(names) {
        *path = executable(&text, name)?;
    }
    Ok(paths)
}

/// Runs a program to its end and answers what it said on standard output. What it says on standard error, such as Cargo's
/// progress and the compiler's errors, goes to ours as it comes.
///
/// # Errors
/// When it cannot be run, or fails; `name` is what it is called then.
pub async fn standard_output(command: Command, name: &str) -> Result<String> {
    // Not tokio's `output`: it pipes standard error, whatever was set.
    let program = tokio::process::Command::from(command)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot run {name}"))?;
    let output = program.wait_with_output().await;
    let output = output.with_context(|| format!("cannot read what {name} says"))?;
    if !output.status.success() {
        bail!("{name} failed ({})", output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Where Cargo says it put a program; it also says so of one that was up to date.
fn executable(cargo_messages: &str, name: &str) -> Result<PathBuf> {
    cargo_messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == name)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .with_context(|| format!("cargo did not say where it put {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_a_program_is_read_from_what_cargo_says() {
        let text = r#"
            {"reason":"compiler-artifact","target":{"name":"publisher"},"executable":null}
            {"reason":"compiler-artifact","target":{"name":"consumer-app"},"executable":"/t/c"}
            {"reason":"compiler-artifact","target":{"name":"publisher"},"executable":"/t/p"}
            {"reason":"build-finished","success":true}"#;
        assert_eq!(executable(text, PUBLISHER).unwrap(), Path::new("/t/p"));
        assert!(executable(text, GROUP).is_err());
    }

    /// Where the broken crate is, in the process that is to build it.
    const BROKEN: &str = "LOCAL_STACK_TEST_BROKEN_CRATE";

    #[tokio::test]
    async fn a_build_that_fails_shows_the_error_of_the_compiler() {
        if std::env::var_os(BROKEN).is_some() {
            let error = Binaries::build(Profile::Dev).await.unwrap_err();
            assert!(error.to_string().contains("cargo build failed"), "{error}");
            return;
        }
        let broken = tempfile::tempdir().unwrap();
        let file = |name: &str| broken.path().join(name);
        let manifest = "[package]\nname = \"broken\"\n[workspace]\n[[bin]]\nname = \"broken\"\npath = \"main.rs\"\n";
        std::fs::write(file("Cargo.toml"), manifest).unwrap();
        std::fs::write(file("main.rs"), "fn main() { no_such_function() }").unwrap();
        // In place of Cargo, one that builds the broken crate whatever it is told to build.
        let line = r#"exec "$REAL_CARGO" build --quiet --manifest-path "$LOCAL_STACK_TEST_BROKEN_CRATE/Cargo.toml""#;
        let stand_in = file("cargo");
        std::fs::write(&stand_in, format!("#!/bin/sh\n{line}\n")).unwrap();
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&stand_in, executable).unwrap();
        let ourselves = std::env::current_exe().unwrap();
        let name = "binaries::tests::a_build_that_fails_shows_the_error_of_the_compiler";
        let output = Command::new(ourselves)
            .args(["--exact", name, "--nocapture"])
            .env(BROKEN, broken.path())
            .env("REAL_CARGO", cargo().get_program())
            .env("CARGO", &stand_in)
            .env_remove("CARGO_TARGET_DIR")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("no_such_function"), "{said}");
        assert!(output.status.success(), "{said}");
    }

    #[test]
    fn the_workspace_is_where_its_manifest_is() {
        let manifest = std::fs::read_to_string(workspace().join("Cargo.toml")).unwrap();
        assert!(manifest.contains("[workspace]"));
    }
}
