//! `.github/workflows/` and `packaging/`: what they name is there, and is what is named elsewhere.

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use anyhow::{Context, Result, ensure};
use local_stack::binaries::workspace;

/// The workflows there are.
const WORKFLOWS: [&str; 2] = ["ci.yml", "release.yml"];

/// Every line of every workflow that has this key, without it.
fn values(key: &str) -> Result<Vec<String>> {
    let mut values = Vec::new();
    for workflow in WORKFLOWS {
        let path = workspace().join(".github/workflows").join(workflow);
        let text = fs::read_to_string(path)?;
        let lines = text
            .lines()
            .map(|line| line.trim().trim_start_matches("- "));
        values.extend(lines.filter_map(|line| line.strip_prefix(key).map(str::to_owned)));
    }
    ensure!(!values.is_empty(), "no {key}");
    Ok(values)
}

#[test]
fn actions_are_named_by_commit_with_their_version_beside_it() -> Result<()> {
    for action in values("uses: ")? {
        let is_ours = action.starts_with("./");
        let is_pinned = action
            .split_once('@')
            .and_then(|(_, rest)| rest.split_once(" # v"))
            .is_some_and(|(commit, _)| {
                commit.len() == 40 && commit.chars().all(|digit| digit.is_ascii_hexdigit())
            });
        assert!(is_ours || is_pinned, "{action}");
    }
    Ok(())
}

#[test]
fn workflows_run_scripts_that_are_there() -> Result<()> {
    let mut count = 0;
    for line in values("run: ")? {
        let program = line.split(' ').next().unwrap_or_default();
        if !program.contains('/') {
            continue;
        }
        let mode = fs::metadata(workspace().join(program)).with_context(|| line.clone())?;
        assert!(mode.permissions().mode() & 0o111 != 0, "{program}");
        count += 1;
    }
    ensure!(count >= 5, "{count} scripts");
    Ok(())
}

#[test]
fn one_version_of_rust_is_asked_for_everywhere() -> Result<()> {
    let read = |file: &str| fs::read_to_string(workspace().join(file));
    let manifest = read("Cargo.toml")?;
    let line = manifest
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = "));
    let version = line.context("no version")?.trim_matches('"');
    for named in values("RUST_VERSION: ")? {
        assert_eq!(named.trim_matches('"'), version);
    }
    let images = format!("FROM rust:{version}-");
    assert!(read("Dockerfile")?.contains(&images), "{images}");
    Ok(())
}

#[test]
fn the_notes_of_a_release_are_its_section_of_the_changelog() -> Result<()> {
    let notes = |version: &str| {
        let mut command = Command::new(workspace().join("packaging/notes"));
        command.arg(version).output()
    };
    let told = notes("Unreleased")?;
    let changelog = fs::read_to_string(workspace().join("CHANGELOG.md"))?;
    let text = String::from_utf8(told.stdout)?;
    assert!(text.trim_start().starts_with("### ") && changelog.contains(text.trim()));
    let none = notes("99.0.0")?;
    assert!(!none.status.success() && none.stdout.is_empty());
    Ok(())
}
