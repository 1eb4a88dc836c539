//! Flags, environment, file and defaults, merged into one checked struct.
//!
//! A service lists its [`Setting`]s once; flags, `--help`, environment names, the check for unknown
//! keys and the defaults all come from that list. Precedence: flag, environment, file, default. Nothing
//! is opened, bound or connected here, so a mistake is told before anything happens.

mod check;
mod command_line;
mod effective;
mod merged;

use std::{ffi::OsString, path::PathBuf};

use clap::ArgMatches;
use config::{Config, ConfigError};
use serde::de::DeserializeOwned;

pub(crate) use self::command_line::asks_for_check;
use self::{
    command_line::FILE_FLAG,
    merged::{Merged, Origin, read_ini},
};
use crate::{
    shutdown, spans,
    telemetry::{self, TelemetryError},
};

/// One thing an operator can set.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// `section.key` in the file; `APP__SECTION__KEY` in the environment.
    pub key: &'static str,
    /// The flag, without dashes.
    pub flag: &'static str,
    /// What `--help` calls the value, such as `PORT` or `SECONDS`.
    pub value_name: &'static str,
    /// The value when nothing else is given; `None` where the setting may be absent.
    pub default: Option<&'static str>,
    /// What it does, in a sentence.
    pub help: &'static str,
    /// The heading it stands under in `--help`.
    pub heading: &'static str,
}

/// A program and what can be set about it.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    /// The name of the binary; upper-cased, with underscores, the prefix of its environment.
    pub name: &'static str,
    /// What it is, in a sentence.
    pub about: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The file that is read when no flag names another, relative to the working directory.
    pub default_file: &'static str,
    /// Everything that can be set, in one or more lists, besides what every program has: the log and
    /// the grace period at shutdown.
    pub settings: &'static [&'static [Setting]],
}

/// Merged settings, and what is worth a warning once there is a log.
#[derive(Debug)]
pub struct Loaded {
    merged: Merged,
    warnings: Vec<String>,
}

impl Loaded {
    /// The settings as a type: its fields are the sections, theirs the keys.
    ///
    /// May be called for several types that each want some of the sections.
    ///
    /// # Errors
    /// [`SettingsError::BadValue`] for a value of the wrong kind or out of its range.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, SettingsError> {
        let config = Config::builder().add_source(self.merged.clone()).build();
        config
            .and_then(Config::try_deserialize)
            .map_err(|error| SettingsError::BadValue(self.merged.explain(&error)))
    }

    /// Sentences for the log.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

/// Settings that cannot be used. Every text names the key and where its value comes from.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The command line is wrong, or asks for `--help` or `--version`.
    #[error(transparent)]
    CommandLine(#[from] clap::Error),
    /// A document that was asked for could not be made.
    #[error("cannot make what was asked for")]
    Document(#[from] std::io::Error),
    /// A file named by flag does not exist.
    #[error("settings file `{path}`, named by --{FILE_FLAG}, does not exist")]
    NoFile {
        /// The file that was named.
        path: String,
    },
    /// A file exists but cannot be read as INI.
    #[error("cannot read settings file `{path}`")]
    BadFile {
        /// The file that was read.
        path: String,
        /// What is wrong with it.
        source: Box<ConfigError>,
    },
    /// A key that means nothing here.
    #[error("unknown key `{key}` in {origin}{hint}")]
    UnknownKey {
        /// The key as given.
        key: String,
        /// Where it was given.
        origin: String,
        /// The nearest known key, as a sentence.
        hint: String,
    },
    /// A value of `[log]` that telemetry cannot use.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// A value of the wrong kind, or out of its range.
    #[error("bad value: {0}")]
    BadValue(String),
}

impl Program {
    /// Reads the command line, the environment and the file, and merges them.
    ///
    /// `args` starts with the program's name; `environment` is usually [`std::env::vars_os`].
    ///
    /// # Errors
    /// Every variant of [`SettingsError`].
    pub fn load(
        &self,
        args: impl IntoIterator<Item = OsString>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Loaded, SettingsError> {
        let matches = self.command().try_get_matches_from(args)?;
        self.merge(&matches, environment)
    }

    /// The same, with the command line read already.
    pub(crate) fn merge(
        &self,
        matches: &ArgMatches,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Loaded, SettingsError> {
        let mut warnings = Vec::new();
        let mut merged = Merged::default();
        for setting in self.settings() {
            if let Some(value) = setting.default {
                merged.set(setting.key, value.to_owned(), Origin::Default);
            }
        }
        self.add_file(matches, &mut merged, &mut warnings)?;
        self.add_environment(environment, &mut merged)?;
        self.add_flags(matches, &mut merged);
        merged.drop_empty(self.settings());
        Ok(Loaded { merged, warnings })
    }

    /// Everything that can be set.
    pub fn settings(&self) -> impl Iterator<Item = &'static Setting> {
        let lists = self.settings.iter().copied();
        lists
            .chain([shutdown::SETTINGS, telemetry::SETTINGS, spans::SETTINGS])
            .flatten()
    }

    fn add_file(
        &self,
        matches: &ArgMatches,
        merged: &mut Merged,
        warnings: &mut Vec<String>,
    ) -> Result<(), SettingsError> {
        let named = matches.get_one::<String>(FILE_FLAG);
        let path = PathBuf::from(named.map_or(self.default_file, String::as_str));
        if !path.exists() {
            let path = path.display().to_string();
            if named.is_some() {
                return Err(SettingsError::NoFile { path });
            }
            warnings.push(format!("no settings file at {path}; defaults apply"));
            return Ok(());
        }
        let origin = Origin::File(path.display().to_string());
        for (key, value) in read_ini(&path)? {
            // Python's configparser, which the original used, does not mind the case of keys.
            let key = key.to_lowercase();
            merged.set(self.known(&key, &origin)?, value, origin.clone());
        }
        Ok(())
    }

    fn add_environment(
        &self,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        merged: &mut Merged,
    ) -> Result<(), SettingsError> {
        let prefix = self.env_prefix();
        for (name, value) in environment {
            let name = name.to_string_lossy().into_owned();
            let Some(rest) = name.strip_prefix(&prefix) else {
                continue;
            };
            let key = rest.to_lowercase().replace("__", ".");
            let origin = Origin::Environment(name);
            let known = self.known(&key, &origin)?;
            merged.set(known, value.to_string_lossy().into_owned(), origin);
        }
        Ok(())
    }

    fn add_flags(&self, matches: &ArgMatches, merged: &mut Merged) {
        for setting in self.settings() {
            if let Some(value) = matches.get_one::<String>(setting.key) {
                merged.set(setting.key, value.clone(), Origin::Flag(setting.flag));
            }
        }
    }

    /// The key as listed, or an error that suggests the nearest one.
    fn known(&self, key: &str, origin: &Origin) -> Result<&'static str, SettingsError> {
        let found = self.settings().find(|setting| setting.key == key);
        found.map(|setting| setting.key).ok_or_else(|| {
            let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
            let near = self.settings().find(|setting| {
                last(setting.key) == last(key)
                    || setting.key.replace(['.', '_'], "") == key.replace(['.', '_'], "")
            });
            SettingsError::UnknownKey {
                key: key.to_owned(),
                origin: origin.to_string(),
                hint: near
                    .map(|near| format!("; did you mean `{}`?", near.key))
                    .unwrap_or_default(),
            }
        })
    }
}

#[cfg(test)]
mod tests;
