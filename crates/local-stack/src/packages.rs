//! Installs what is missing with the system's package manager.

use std::{
    env,
    io::{IsTerminal, Write, stderr, stdin},
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use nix::unistd::geteuid;

/// What each package manager is asked to do, the last with the packages' names; first match first.
const RECIPES: [(&str, &[&[&str]]); 4] = [
    (
        "apt-get",
        &[
            &["apt-get", "update", "-q"],
            &["apt-get", "install", "-q", "-y"],
        ],
    ),
    ("dnf", &[&["dnf", "install", "-y"]]),
    ("apk", &[&["apk", "add"]]),
    ("brew", &[&["brew", "install"]]),
];

/// Where a program is.
pub(crate) fn in_path(name: &str) -> Option<PathBuf> {
    let directories = env::var_os("PATH")?;
    env::split_paths(&directories)
        .map(|directory| directory.join(name))
        .find(|path| path.is_file())
}

/// Installs the packages that the first manager found calls so; `what` is missing.
pub(crate) fn install(
    what: &str,
    packages: impl Fn(&str) -> &'static [&'static str],
) -> Result<()> {
    let recipe = RECIPES
        .iter()
        .find(|(manager, _)| in_path(manager).is_some());
    let Some((manager, commands)) = recipe else {
        bail!("{what} is missing, and so is a package manager to install it with: install it");
    };
    // Homebrew refuses to run as root; the others want it.
    let needs_sudo = *manager != "brew" && !geteuid().is_root();
    let sudo: &[&str] = if needs_sudo { &["sudo"] } else { &[] };
    let line = |(number, &command): (usize, &&[&'static str])| {
        let is_last = number + 1 == commands.len();
        let names = if is_last { packages(manager) } else { &[] };
        [sudo, command, names].concat()
    };
    let lines: Vec<_> = commands.iter().enumerate().map(line).collect();
    let shown: Vec<_> = lines.iter().map(|line| line.join(" ")).collect();
    let shown = shown.join(" && ");
    if needs_sudo && !may_use_sudo(what, &shown) {
        bail!("{what} is missing. Install it, for example by `{shown}`, and start again");
    }
    // Who runs a tool must see what it does to the system; if standard error is closed, nobody wants to.
    drop(writeln!(
        stderr(),
        "{what} is missing, and is installed to stay: {shown}"
    ));
    lines.iter().try_for_each(|line| run(line))
}

/// Whether the one at the terminal agrees. On a machine for tests, where `CI` is set, nobody is asked.
fn may_use_sudo(what: &str, line: &str) -> bool {
    if env::var_os("CI").is_some() {
        return true;
    }
    let mut answer = String::new();
    let asked = write!(
        stderr(),
        "{what} is missing. Install it, to stay, by `{line}`? [y/N] "
    );
    let heard = stdin().is_terminal() && asked.is_ok() && stdin().read_line(&mut answer).is_ok();
    heard && answer.trim().eq_ignore_ascii_case("y")
}

fn run(command: &[&str]) -> Result<()> {
    let line = command.join(" ");
    let Some((program, args)) = command.split_first() else {
        return Ok(());
    };
    let status = Command::new(program)
        .args(args)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdout(Stdio::from(stderr()))
        .status()
        .with_context(|| format!("cannot run `{line}`"))?;
    if !status.success() {
        bail!("`{line}` failed ({status}): install it by hand");
    }
    Ok(())
}
