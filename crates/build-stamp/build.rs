//! Stamps the programs with the commit and the date they are built from.
//!
//! `BUILD_COMMIT` in the environment names the commit where there is no repository, as in a build of an image or of a
//! source archive. `SOURCE_DATE_EPOCH` replaces the date of the build, for builds that shall be equal byte for byte
//! (<https://reproducible-builds.org/specs/source-date-epoch/>).

use std::{
    env,
    error::Error,
    path::Path,
    process::Command,
    time::{Duration, SystemTime},
};

const COMMIT: &str = "BUILD_COMMIT";
const DATE: &str = "SOURCE_DATE_EPOCH";
const UNKNOWN: &str = "unknown";

/// What changes in the repository when another commit is checked out, or one is made.
const OF_THE_COMMIT: [&str; 2] = ["HEAD", "logs/HEAD"];

fn main() -> Result<(), Box<dyn Error>> {
    for name in [COMMIT, DATE] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    // Without a file to watch, Cargo would watch all of the package's, which never change with the commit.
    println!("cargo::rerun-if-changed=build.rs");
    for path in OF_THE_COMMIT.iter().filter_map(|file| git_path(file)) {
        println!("cargo::rerun-if-changed={path}");
    }
    let commit = given(COMMIT).or_else(checked_out);
    println!(
        "cargo::rustc-env=BUILD_STAMP_COMMIT={}",
        commit.as_deref().unwrap_or(UNKNOWN)
    );
    println!("cargo::rustc-env=BUILD_STAMP_DATE={}", date()?);
    Ok(())
}

/// A variable of the environment that says something.
fn given(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// The commit that is checked out; none if the repository around us is not ours.
fn checked_out() -> Option<String> {
    git(&["ls-files", "--error-unmatch", "build.rs"])?;
    git(&["rev-parse", "--short=12", "HEAD"])
}

/// A file of the repository, if it has such a one.
fn git_path(file: &str) -> Option<String> {
    let path = git(&["rev-parse", "--path-format=absolute", "--git-path", file])?;
    Path::new(&path).exists().then_some(path)
}

fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| said.trim().to_owned())
}

/// The day of the build, in UTC, as `2026-01-31`.
fn date() -> Result<String, Box<dyn Error>> {
    let time = match given(DATE) {
        Some(seconds) => {
            let seconds = seconds
                .parse()
                .map_err(|cause| format!("{DATE}: {cause}"))?;
            SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
        }
        None => SystemTime::now(),
    };
    let text = humantime::format_rfc3339_seconds(time).to_string();
    Ok(text.split('T').next().unwrap_or(UNKNOWN).to_owned())
}
