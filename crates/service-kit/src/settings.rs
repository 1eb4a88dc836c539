//! Flags, environment, file and defaults, merged into one checked struct.
//!
//! A service lists its [`Setting`]s once; flags, `--help`, environment names, the check for unknown
//! keys and the defaults all come from that list. Precedence: flag, environment, file, default. Nothing
//! is opened, bound or connected here, so a mistake is told before anything happens.

mod check;
mod command_line;
pub mod common;
mod effective;
mod error;
mod in_code;
mod ini;
mod kind;
mod merged;

use std::{ffi::OsString, io::ErrorKind, path::Path};

use clap::ArgMatches;
use config::Config;
use serde::de::DeserializeOwned;
use strsim::normalized_damerau_levenshtein as likeness;

pub(crate) use self::command_line::{asks_for_check, asks_for_health};
use self::{
    command_line::FILE_FLAG,
    merged::{Merged, Origin},
};
pub use self::{
    error::SettingsError,
    ini::FileError,
    kind::{Check, Range, ValueKind},
};
use crate::build::Build;

/// How alike two keys must be for one to be meant by the other, of 1.
const LEAST_LIKENESS: f64 = 0.7;

/// One thing an operator can set.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// `section.key` in the file; `APP__SECTION__KEY` in the environment.
    pub key: &'static str,
    /// The flag, without dashes.
    pub flag: &'static str,
    /// What `--help` calls the value, such as `PORT` or `SECONDS`.
    pub value_name: &'static str,
    /// What it is, and so which values are allowed.
    pub kind: ValueKind,
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
    /// The name of the binary.
    pub name: &'static str,
    /// What it is, in a sentence.
    pub about: &'static str,
    /// What it was built from.
    pub build: Build,
    /// What the names of its environment variables begin with, before two underscores.
    pub environment: &'static str,
    /// The file that is read when no flag names another, relative to the working directory.
    pub default_file: &'static str,
    /// Everything that can be set, in one or more lists.
    pub settings: &'static [&'static [Setting]],
    /// The same about the process: [`crate::program::SETTINGS`] of a service, nothing of a tool.
    pub service: &'static [&'static [Setting]],
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

    /// Checks that settings which name things of one space name different things. `beside` are further
    /// names in it, which are taken by what the first setting names.
    ///
    /// # Errors
    /// [`SettingsError::BadValue`] for a name that is taken, with both places.
    pub fn expect_distinct(&self, keys: &[&str], beside: &[String]) -> Result<(), SettingsError> {
        let given = |key: &str| self.merged.get(key).unwrap_or(("", &Origin::Default));
        for (index, key) in keys.iter().enumerate() {
            let (value, origin) = given(key);
            let equal = keys[..index].iter().find(|other| given(other).0 == value);
            let taken_by = match keys.first() {
                Some(first) if beside.iter().any(|taken| taken == value) => Some(first),
                _ => equal,
            };
            if let Some(other) = taken_by {
                let other_origin = given(other).1;
                return Err(SettingsError::BadValue(format!(
                    "{key} = `{value}` in {origin}: the name is taken by {other} of {other_origin}; \
                     choose another"
                )));
            }
        }
        Ok(())
    }

    /// Sentences for the log.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
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
        merged.check(self.settings())?;
        Ok(Loaded { merged, warnings })
    }

    /// Everything that can be set.
    pub fn settings(&self) -> impl Iterator<Item = &'static Setting> {
        self.settings.iter().chain(self.service).copied().flatten()
    }

    fn add_file(
        &self,
        matches: &ArgMatches,
        merged: &mut Merged,
        warnings: &mut Vec<String>,
    ) -> Result<(), SettingsError> {
        let named = matches.get_one::<String>(FILE_FLAG);
        let path = named.map_or(self.default_file, String::as_str);
        let entries = match ini::read(Path::new(path)) {
            Ok(entries) => entries,
            Err(FileError::Io(cause)) if cause.kind() == ErrorKind::NotFound => {
                let path = path.to_owned();
                if named.is_some() {
                    return Err(SettingsError::NoFile { path });
                }
                warnings.push(format!("no settings file at {path}; defaults apply"));
                return Ok(());
            }
            Err(source) => {
                let path = path.to_owned();
                return Err(SettingsError::BadFile { path, source });
            }
        };
        for ini::Entry { key, value, line } in entries {
            let origin = Origin::File(path.to_owned(), line);
            merged.set(self.known(&key, &origin)?, value, origin);
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
            let value = value.into_string().map_err(|_bytes| {
                SettingsError::BadValue(format!("{known} in {origin}: it is not UTF-8"))
            })?;
            merged.set(known, value, origin);
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
        found
            .map(|setting| setting.key)
            .ok_or_else(|| SettingsError::UnknownKey {
                key: key.to_owned(),
                origin: origin.to_string(),
                hint: self
                    .nearest(key)
                    .map(|near| format!("; did you mean `{near}`?"))
                    .unwrap_or_default(),
            })
    }

    /// The known key that is most like this one, if one is: as a whole, or in its last part.
    fn nearest(&self, key: &str) -> Option<&'static str> {
        let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
        let plain = |key: &str| key.replace(['.', '_'], "");
        let mut nearest = (LEAST_LIKENESS, None);
        for Setting { key: known, .. } in self.settings() {
            let parts = likeness(&last(key), &last(known));
            let likeness = likeness(&plain(key), &plain(known)).max(parts);
            if likeness > nearest.0 {
                nearest = (likeness, Some(*known));
            }
        }
        nearest.1
    }
}

#[cfg(test)]
mod tests;
