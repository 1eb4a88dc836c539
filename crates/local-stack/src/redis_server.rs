//! Finds the Redis server on this machine, or installs it.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::packages::{self, in_path};

/// The programs that speak Redis, in the order they are looked for.
const SERVERS: [&str; 2] = ["redis-server", "valkey-server"];

/// The first version that knows `--enable-debug-command`.
const DEBUG_IS_A_SETTING_SINCE: u32 = 7;

/// A Redis server's program on this machine.
#[derive(Debug, Clone)]
pub struct RedisServer {
    path: PathBuf,
    major_version: u32,
}

impl RedisServer {
    /// Looks for it in `PATH`.
    ///
    /// # Errors
    /// When there is none, or it does not tell its version.
    pub fn find() -> Result<Self> {
        let path = SERVERS.iter().find_map(|name| in_path(name));
        match path {
            Some(path) => Self::at(path),
            None => bail!(
                "neither {} is in PATH; install Redis, or let `cargo xtask demo` do it",
                SERVERS.join(" nor ")
            ),
        }
    }

    /// Looks for it, and installs it with the system's package manager where it is missing.
    ///
    /// # Errors
    /// When there is no package manager this knows, or it fails.
    pub fn find_or_install() -> Result<Self> {
        if let Ok(found) = Self::find() {
            return Ok(found);
        }
        packages::install("Redis", |manager| match manager {
            "apt-get" => &["redis-server"],
            _ => &["redis"],
        })?;
        Self::find()
    }

    /// The program.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A program that comes with the server, such as `redis-cli` or `redis-benchmark`.
    #[must_use]
    pub fn tool(&self, name: &str) -> Option<PathBuf> {
        in_path(name).or_else(|| in_path(&name.replace("redis", "valkey")))
    }

    /// Arguments for a server that keeps nothing on disk and lets tests look inside.
    pub(crate) fn default_args(&self) -> Vec<String> {
        let mut args = vec!["--save", ""];
        if self.major_version >= DEBUG_IS_A_SETTING_SINCE {
            args.extend(["--enable-debug-command", "yes"]);
        }
        args.into_iter().map(str::to_owned).collect()
    }

    fn at(path: PathBuf) -> Result<Self> {
        let output = Command::new(&path)
            .arg("--version")
            .output()
            .with_context(|| format!("cannot run {}", path.display()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let major_version = major_version(&text)
            .with_context(|| format!("no version in `{}`", text.trim().escape_debug()))?;
        Ok(Self {
            path,
            major_version,
        })
    }
}

/// Reads `Redis server v=7.0.15 sha=…`.
fn major_version(text: &str) -> Option<u32> {
    let (_, version) = text.split_once("v=")?;
    version.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_what_redis_and_valkey_say() {
        let redis = "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64";
        assert_eq!(major_version(redis), Some(7));
        assert_eq!(major_version("Valkey server v=8.1.1 sha=0"), Some(8));
        assert_eq!(major_version("Redis server version 2.4.0"), None);
    }
}
