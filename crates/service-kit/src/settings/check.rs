//! Checks for the tests of a program that keep its settings file and its documents true.

use std::{collections::BTreeMap, path::Path};

use super::{Program, Setting, merged::read_ini};

impl Program {
    /// Checks that a settings file names every setting with its default, and nothing else; for the
    /// test that keeps the file a program ships with true.
    ///
    /// # Errors
    /// The differences, or why the file cannot be read.
    pub fn check_shipped_file(&self, path: &Path) -> Result<(), String> {
        let shipped: BTreeMap<_, _> = read_ini(path)
            .map_err(|error| error.to_string())?
            .into_iter()
            .collect();
        let defaults: BTreeMap<_, _> = self
            .settings()
            .map(|setting| {
                (
                    setting.key.to_owned(),
                    setting.default.unwrap_or_default().to_owned(),
                )
            })
            .collect();
        if shipped == defaults {
            return Ok(());
        }
        let differences = |a: &BTreeMap<String, String>, b: &BTreeMap<String, String>| {
            let only = a.iter().filter(|(key, value)| b.get(*key) != Some(*value));
            only.map(|(key, value)| format!("{key} = {value}"))
                .collect::<Vec<_>>()
        };
        let (missing, extra) = (
            differences(&defaults, &shipped),
            differences(&shipped, &defaults),
        );
        Err(format!("missing: {missing:?}; extra: {extra:?}"))
    }

    /// Checks that a Markdown text has a row `| flag | key | default | …` for every setting; for the
    /// test that keeps a document true.
    ///
    /// # Errors
    /// The rows that are missing.
    pub fn check_table(&self, markdown: &str) -> Result<(), String> {
        let row = |setting: &Setting| {
            let default = setting
                .default
                .map(|value| format!("`{value}` "))
                .unwrap_or_default();
            format!("| `--{}` | `{}` | {default}|", setting.flag, setting.key)
        };
        let rows = self.settings().map(row);
        let missing: Vec<_> = rows.filter(|row| !markdown.contains(row)).collect();
        if missing.is_empty() {
            Ok(())
        } else {
            Err(missing.join("\n"))
        }
    }
}
