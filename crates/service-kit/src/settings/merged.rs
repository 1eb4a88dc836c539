//! The values of all sources, the winning one of each key with its origin.

use std::{collections::BTreeMap, fmt, path::Path};

use config::{ConfigError, FileFormat, Map, Source, Value, ValueKind};

use super::{Setting, SettingsError};

/// The `section.key = value` pairs of an INI file.
pub(super) fn read_ini(path: &Path) -> Result<Vec<(String, String)>, SettingsError> {
    let bad_file = |source| SettingsError::BadFile {
        path: path.display().to_string(),
        source: Box::new(source),
    };
    let file = config::File::from(path.to_owned()).format(FileFormat::Ini);
    let mut pairs = Vec::new();
    for (section, value) in file.collect().map_err(bad_file)? {
        match value.kind {
            ValueKind::Table(table) => {
                for (key, value) in table {
                    let value = value.into_string().map_err(bad_file)?;
                    pairs.push((format!("{section}.{key}"), value));
                }
            }
            _ => pairs.push((section, value.into_string().map_err(bad_file)?)),
        }
    }
    Ok(pairs)
}

/// The winning value of each key with its origin, as a source for [`Config`].
#[derive(Clone, Default)]
pub(super) struct Merged(BTreeMap<&'static str, (String, String)>);

impl Merged {
    pub(super) fn set(&mut self, key: &'static str, value: String, origin: String) {
        self.0.insert(key, (value, origin));
    }

    /// An error's text, with the place where the value it speaks of was given.
    pub(super) fn explain(&self, error: &ConfigError) -> String {
        let text = error.to_string();
        let key = match error {
            ConfigError::Type { key, .. } | ConfigError::At { key, .. } => key.as_deref(),
            _ => None,
        };
        match key.and_then(|key| self.0.get(key)) {
            Some((_, origin)) if !text.contains(origin.as_str()) => format!("{text} in {origin}"),
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
            let value = Value::new(Some(origin), ValueKind::String(value.clone()));
            ((*key).to_owned(), value)
        });
        Ok(pairs.collect())
    }
}
