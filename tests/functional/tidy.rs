//! The rules of the house, read from the sources: who depends on whom, and how long a file may be.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use local_stack::binaries::{cargo, workspace};

/// The longest a Rust file may be, in lines.
const MAX_LINES: usize = 300;

/// What each of our packages may depend on of ours.
const MAY_DEPEND_ON: &[(&str, &[&str])] = &[
    ("protocol", &[]),
    ("service-kit", &[]),
    ("build-stamp", &["service-kit"]),
    ("redis-bus", &["protocol"]),
    ("consumer-kit", &["protocol", "redis-bus", "service-kit"]),
    (
        "consumer-group-app",
        &["build-stamp", "protocol", "redis-bus", "service-kit"],
    ),
    (
        "consumer-app",
        &["build-stamp", "consumer-kit", "service-kit"],
    ),
    (
        "publisher",
        &["build-stamp", "protocol", "redis-bus", "service-kit"],
    ),
];

/// Packages nobody ships.
const DEVELOPMENT: [&str; 5] = [
    "contestants",
    "local-stack",
    "xtask",
    "functional-tests",
    "queue-model",
];

/// The modules of shipped packages that speak HTTP by reqwest.
const HTTP_CLIENTS: [&str; 2] = ["group_client.rs", "http_client.rs"];

/// The roles of the group, by the module each lives in. They meet in what `app` makes for them.
const ROLES: [&str; 11] = [
    "intake/listener",
    "intake/admission",
    "queue/reader",
    "queue/settler",
    "dispatch/dispatcher",
    "consumer/health_checker",
    "consumer/membership",
    "dead_letters/writer",
    "observe/throughput",
    "observe/sampler",
    "observe/server_checker",
];

/// What a role's module offers to others beside the role itself.
const HANDLES: [&str; 2] = ["writer::Letter", "settler::Settling"];

struct Package {
    name: String,
    directory: PathBuf,
    dependencies: BTreeSet<String>,
}

/// Every package of the workspace with what it ships with; what only its tests need is left out.
fn packages() -> Result<Vec<Package>> {
    let mut manifests = Vec::new();
    for place in ["", "crates", "tests"] {
        for entry in fs::read_dir(workspace().join(place))? {
            let manifest = entry?.path().join("Cargo.toml");
            if manifest.is_file() {
                manifests.push(manifest);
            }
        }
    }
    manifests.iter().map(|manifest| package(manifest)).collect()
}

fn package(manifest: &Path) -> Result<Package> {
    let text = fs::read_to_string(manifest)?;
    let (mut section, mut name, mut dependencies) = ("", None, BTreeSet::new());
    for line in text.lines() {
        if line.starts_with('[') {
            section = line.trim_matches(['[', ']']);
        } else if let Some((key, value)) = line.split_once('=') {
            let key = key.trim().split('.').next().unwrap_or_default();
            if section == "package" && key == "name" {
                name = Some(value.trim().trim_matches('"').to_owned());
            } else if section.ends_with("dependencies") && !section.contains("dev-") {
                dependencies.insert(key.to_owned());
            }
        }
    }
    Ok(Package {
        name: name.with_context(|| format!("no name in {}", manifest.display()))?,
        directory: manifest.parent().context("no directory")?.to_owned(),
        dependencies,
    })
}

/// Every Rust file under a directory, but what Cargo put there.
fn rust_files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            files.extend(rust_files(&path)?);
        } else if name.ends_with(".rs") {
            files.push(path);
        }
    }
    Ok(files)
}

fn shown(path: &Path) -> String {
    let inside = path.strip_prefix(workspace()).unwrap_or(path);
    inside.display().to_string()
}

#[test]
fn packages_depend_on_each_other_in_one_direction() -> Result<()> {
    let packages = packages()?;
    let ours: BTreeSet<_> = packages
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    let allowed: BTreeMap<_, _> = MAY_DEPEND_ON.iter().copied().collect();
    for package in &packages {
        if DEVELOPMENT.contains(&package.name.as_str()) {
            continue;
        }
        let may = allowed.get(package.name.as_str());
        let may = may.with_context(|| format!("no rule for {}", package.name))?;
        for dependency in &package.dependencies {
            let is_fine = !ours.contains(dependency.as_str()) || may.contains(&dependency.as_str());
            assert!(is_fine, "{} depends on {dependency}", package.name);
        }
    }
    assert!(ours.len() >= MAY_DEPEND_ON.len() + DEVELOPMENT.len());
    Ok(())
}

#[test]
fn only_redis_bus_and_the_local_stack_depend_on_the_redis_crate() -> Result<()> {
    let packages = packages()?;
    let users: BTreeSet<_> = packages
        .iter()
        .filter(|package| package.dependencies.contains("redis"))
        .map(|package| package.name.as_str())
        .collect();
    assert_eq!(users, BTreeSet::from(["local-stack", "redis-bus"]));
    Ok(())
}

#[test]
fn only_the_client_modules_name_reqwest() -> Result<()> {
    let mut users = BTreeSet::new();
    for package in packages()? {
        if DEVELOPMENT.contains(&package.name.as_str()) {
            continue;
        }
        for file in rust_files(&package.directory.join("src"))? {
            let text = fs::read_to_string(&file)?;
            let code = text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"));
            if code.into_iter().any(|line| line.contains("reqwest")) {
                users.insert(shown(&file));
            }
        }
    }
    let strays: Vec<_> = users
        .iter()
        .filter(|file| {
            !HTTP_CLIENTS
                .iter()
                .any(|name| file.ends_with(&format!("/{name}")))
        })
        .collect();
    assert!(strays.is_empty(), "{strays:?}");
    assert_eq!(users.len(), HTTP_CLIENTS.len(), "{users:?}");
    Ok(())
}

#[test]
fn the_roles_of_the_group_do_not_know_each_other() -> Result<()> {
    let source = workspace().join("consumer-group-app/src");
    for role in ROLES {
        let text = fs::read_to_string(source.join(format!("{role}.rs")))?;
        // A `use crate::{…}` over several lines reads as one.
        let text: String = text.split_whitespace().collect();
        for other in ROLES.iter().filter(|other| **other != role) {
            let module = other.rsplit('/').next().unwrap_or(other);
            for (at, _) in text.match_indices(&format!("{module}::")) {
                let (before, named) = text.split_at(at);
                let is_whole_name = !before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
                let is_handle = HANDLES.iter().any(|handle| {
                    let after = named.strip_prefix(handle);
                    after.is_some_and(|after| !after.starts_with(char::is_alphanumeric))
                });
                let named: String = named.chars().take(60).collect();
                assert!(is_handle || !is_whole_name, "{role} uses {named}");
            }
        }
    }
    Ok(())
}

#[test]
fn only_app_starts_roles() -> Result<()> {
    let source = workspace().join("consumer-group-app/src");
    for role in ROLES {
        let text = fs::read_to_string(source.join(format!("{role}.rs")))?;
        assert!(
            !text.contains("Supervisor"),
            "{role} starts tasks of its own"
        );
        assert!(text.contains("impl Role for"), "{role} is no role");
    }
    Ok(())
}

#[test]
fn no_rust_file_is_longer_than_300_lines() -> Result<()> {
    let mut too_long = BTreeMap::new();
    for file in rust_files(workspace())? {
        let lines = fs::read_to_string(&file)?.lines().count();
        if lines > MAX_LINES {
            too_long.insert(shown(&file), lines);
        }
    }
    assert!(too_long.is_empty(), "{too_long:#?}");
    Ok(())
}

#[test]
fn no_module_hides_in_a_file_called_mod() -> Result<()> {
    let files = rust_files(workspace())?;
    assert!(files.len() > 50, "the sources were not found");
    let hidden: Vec<_> = files
        .iter()
        .filter(|file| file.ends_with("mod.rs"))
        .collect();
    assert!(hidden.is_empty(), "{hidden:?}");
    Ok(())
}

/// Each package that these of ours are built from, with its features.
fn built_with(programs: &[&str]) -> Result<BTreeSet<String>> {
    let mut command = cargo();
    command
        .current_dir(workspace())
        .args(["tree", "--prefix=none"]);
    command.args(["--no-dedupe", "--edges=normal,build", "--format={p} {f}"]);
    command.args(programs.iter().flat_map(|program| ["--package", program]));
    let output = command.output().context("cannot run cargo")?;
    ensure!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout)?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// Else who runs the demo, and then a program by itself, compiles its libraries twice.
#[test]
fn a_program_alone_is_built_from_what_all_of_them_are_built_from() -> Result<()> {
    let programs = ["consumer-group-app", "consumer-app", "publisher"];
    let together = built_with(&programs)?;
    for program in programs {
        let alone = built_with(&[program])?;
        let other: Vec<_> = alone.difference(&together).collect();
        assert!(
            other.is_empty(),
            "{program}: {other:?}; declare the features in Cargo.toml"
        );
    }
    Ok(())
}
