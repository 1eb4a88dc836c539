//! Checks for the tests of a program that keep its settings file and its documents true.

use std::{collections::BTreeMap, fs, path::Path};

use super::{Program, Setting, ini};

impl Program {
    /// Checks that a settings file names every setting with its default, and nothing else, and that the
    /// comment above each number tells its range; for the test that keeps the file a program ships with
    /// true.
    ///
    /// # Errors
    /// The differences, or why the file cannot be read.
    pub fn check_shipped_file(&self, path: &Path) -> Result<(), String> {
        let entries = ini::read(path).map_err(|error| error.to_string())?;
        let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
        for setting in self.settings() {
            let entry = entries.iter().find(|entry| entry.key == setting.key);
            let above = entry.map(|entry| comment_above(&text, entry.line));
            let range = range(setting);
            if !above.unwrap_or_default().contains(&range) {
                return Err(format!("{} does not tell its range, {range}", setting.key));
            }
        }
        let shipped: BTreeMap<_, _> = entries
            .into_iter()
            .map(|entry| (entry.key, entry.value))
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

    /// Checks that a Markdown text has a row `| flag | key | default | range | …` for every setting; for
    /// the test that keeps a document true.
    ///
    /// # Errors
    /// The rows that are missing.
    pub fn check_table(&self, markdown: &str) -> Result<(), String> {
        let row = |setting: &Setting| {
            let Setting {
                flag, key, default, ..
            } = setting;
            let default = default.map(|value| format!("`{value}`"));
            let cells =
                [default.unwrap_or_default(), range(setting)].map(|cell| match cell.len() {
                    0 => " ".to_owned(),
                    _ => format!(" {cell} "),
                });
            format!("| `--{flag}` | `{key}` |{}|", cells.join("|"))
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

/// The range of a number; empty for what is none.
fn range(setting: &Setting) -> String {
    let range = setting.kind.range();
    range.map(|range| range.to_string()).unwrap_or_default()
}

/// The comment that ends just above a line, in one piece.
fn comment_above(text: &str, line: usize) -> String {
    let lines: Vec<_> = text.lines().take(line - 1).collect();
    let above = lines.iter().rev().map_while(|line| line.strip_prefix('#'));
    let above: Vec<_> = above.map(str::trim).collect();
    above.into_iter().rev().collect::<Vec<_>>().join(" ")
}
