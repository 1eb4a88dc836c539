//! The values of all sources, the winning one of each key with its origin.

use std::{collections::BTreeMap, fmt};

use config::{ConfigError, Map, Source, Value};

use super::{Setting, SettingsError};

/// The winning value of each key with its origin, as a source for [`Config`].
#[derive(Clone, Default)]
pub(super) struct Merged(BTreeMap<&'static str, (String, Origin)>);

/// Where a value was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    Default,
    /// The code of the program.
    Code,
    /// The path of the file, and the number of the line.
    File(String, usize),
    /// The name of the variable.
    Environment(String),
    /// The flag, without dashes.
    Flag(&'static str),
}

impl Origin {
    /// The same in a table, where each stands by itself.
    pub(super) fn brief(&self) -> String {
        match self {
            Self::Default => "default".to_owned(),
            Self::Code => "code".to_owned(),
            Self::File(path, _) => format!("file {path}"),
            Self::Environment(name) => format!("environment variable {name}"),
            Self::Flag(flag) => format!("flag --{flag}"),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the defaults"),
            Self::File(_, line) => write!(f, "the {}, line {line}", self.brief()),
            Self::Code | Self::Environment(_) | Self::Flag(_) => write!(f, "the {}", self.brief()),
        }
    }
}

impl Merged {
    pub(super) fn set(&mut self, key: &'static str, value: String, origin: Origin) {
        self.0.insert(key, (value, origin));
    }

    /// The winning value and where it was given; `None` where none is.
    pub(super) fn get(&self, key: &str) -> Option<(&str, &Origin)> {
        let (value, origin) = self.0.get(key)?;
        Some((value, origin))
    }

    /// Checks each value by what it is, and keeps it in its one form.
    pub(super) fn check(
        &mut self,
        settings: impl Iterator<Item = &'static Setting>,
    ) -> Result<(), SettingsError> {
        for Setting { key, kind, .. } in settings {
            let Some((value, origin)) = self.0.get_mut(key) else {
                continue;
            };
            *value = kind.check(value).map_err(|problem| {
                let shown = kind.shown(value).map(|value| format!(" `{value}`"));
                let shown = shown.unwrap_or_default();
                SettingsError::BadValue(format!("{key} ={shown} in {origin}: {problem}"))
            })?;
        }
        Ok(())
    }

    /// An error's text, with the place where the value it speaks of was given.
    pub(super) fn explain(&self, error: &ConfigError) -> String {
        let text = error.to_string();
        let key = match error {
            ConfigError::Type { key, .. } | ConfigError::At { key, .. } => key.as_deref(),
            _ => None,
        };
        let origin = key
            .and_then(|key| self.0.get(key))
            .map(|(_, origin)| origin.to_string());
        match origin {
            Some(origin) if !text.contains(&origin) => format!("{text} in {origin}"),
            Some(_) | None => text,
        }
    }

    /// An empty value for something that may be absent means that it is absent.
    pub(super) fn drop_empty(&mut self, settings: impl Iterator<Item = &'static Setting>) {
        for setting in settings.filter(|setting| setting.default.is_none()) {
            if self
                .0
                .get(setting.key)
                .is_some_and(|(value, _)| value.is_empty())
            {
                self.0.remove(setting.key);
            }
        }
    }
}

impl fmt::Debug for Merged {
    /// Shows the keys only: values may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Source for Merged {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        let pairs = self.0.iter().map(|(key, (value, origin))| {
            let value = Value::new(
                Some(&origin.to_string()),
                config::ValueKind::String(value.clone()),
            );
            ((*key).to_owned(), value)
        });
        Ok(pairs.collect())
    }
}
