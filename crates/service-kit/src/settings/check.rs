//! What is generated from the settings of a program, for the tests that keep it true: the settings file it ships with,
//! and its table in a document.

use std::{env, fmt::Write as _, fs, path::Path};

use super::{Program, Setting, ValueKind};

/// The environment variable with which the tests write the files instead of comparing them.
const UPDATE: &str = "UPDATE_DOCS";

/// The widest line of a settings file, in characters.
const COLUMNS: usize = 100;

impl Program {
    /// Checks that the settings file a program ships with is what its settings say; with `UPDATE_DOCS=1` in the
    /// environment, writes it.
    ///
    /// # Errors
    /// That it differs, and what to do; or why it cannot be read or written.
    pub fn check_shipped_file(&self, path: &Path) -> Result<(), String> {
        expect(path, &self.file())
    }

    /// Checks that the table between `<!-- settings of NAME -->` and `<!-- end -->` in a Markdown document is what the
    /// program's settings say; with `UPDATE_DOCS=1` in the environment, writes it.
    ///
    /// # Errors
    /// As [`Program::check_shipped_file`]; or that the document has no such place.
    pub fn check_table(&self, path: &Path) -> Result<(), String> {
        let text = read(path)?;
        let start = format!("<!-- settings of {} -->\n", self.name);
        let place = text.split_once(&start).and_then(|(before, rest)| {
            let (_, after) = rest.split_once("<!-- end -->")?;
            Some((before, after))
        });
        let (before, after) = place.ok_or_else(|| format!("no place for {}", self.name))?;
        let table = self.table();
        expect(
            path,
            &format!("{before}{start}\n{table}\n<!-- end -->{after}"),
        )
    }

    /// The settings file with every default.
    fn file(&self) -> String {
        let Self { name, .. } = self;
        let prefix = self.env_prefix();
        let mut file = format!(
            "# Settings of {name}: every key with its default.\n\
             #\n\
             # Each can be given in the environment, too ({prefix}REDIS__HOST for redis.host), and as a\n\
             # flag (see {name} --help). A flag beats the environment, which beats this file.\n\
             # A key without a value is not set. A value is all that follows the = on its line, without quotes.\n\
             # A line that begins with `#` or `;` is a comment.\n"
        );
        let mut sections: Vec<&str> = Vec::new();
        for (section, _) in self.settings().map(section_and_key) {
            if !sections.contains(&section) {
                sections.push(section);
            }
        }
        for section in sections {
            // Writing to a text cannot fail.
            let _written = write!(file, "\n[{section}]\n");
            for setting in self.settings() {
                let (of, key) = section_and_key(setting);
                if of == section {
                    file.push_str(&comment(&description(setting)));
                    let value = setting.default.unwrap_or_default();
                    let line = format!("{key} = {value}");
                    file.push_str(line.trim_end());
                    file.push('\n');
                }
            }
        }
        file
    }

    /// The settings as a table in Markdown.
    fn table(&self) -> String {
        let mut table = "| flag | key | default | allowed | what it does |\n\
                         |---|---|---|---|---|\n"
            .to_owned();
        for setting in self.settings() {
            let Setting {
                flag, key, help, ..
            } = setting;
            let default = setting.default.map(|value| format!("`{value}`"));
            let (default, allowed) = (default.unwrap_or_default(), allowed(setting));
            let _written = writeln!(
                table,
                "| `--{flag}` | `{key}` | {default} | {allowed} | {help} |"
            );
        }
        table
    }
}

fn section_and_key(setting: &Setting) -> (&str, &str) {
    setting.key.split_once('.').unwrap_or(("", setting.key))
}

/// What a setting does, and which values are allowed where its description does not say it.
fn description(setting: &Setting) -> String {
    match setting.kind {
        ValueKind::Number(range) => format!("{}. {range}.", setting.help),
        ValueKind::Choice(words) if !words.iter().all(|word| setting.help.contains(word)) => {
            format!("{}: {}.", setting.help, words.join(" or "))
        }
        _ => format!("{}.", setting.help),
    }
}

/// The range of a number, or the words there are; empty for what is neither.
fn allowed(setting: &Setting) -> String {
    match setting.kind {
        ValueKind::Number(range) => range.to_string(),
        ValueKind::Choice(words) => {
            let words: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
            words.join(", ")
        }
        _ => String::new(),
    }
}

/// A text as a comment of lines that are not too wide.
fn comment(text: &str) -> String {
    let (mut comment, mut line) = (String::new(), "#".to_owned());
    for word in text.split(' ') {
        if line.chars().count() + 1 + word.chars().count() > COLUMNS {
            comment.push_str(&line);
            comment.push('\n');
            "#".clone_into(&mut line);
        }
        line.push(' ');
        line.push_str(word);
    }
    comment + &line + "\n"
}

fn expect(path: &Path, expected: &str) -> Result<(), String> {
    if env::var_os(UPDATE).is_some() {
        return fs::write(path, expected)
            .map_err(|cause| format!("cannot write {}: {cause}", path.display()));
    }
    if read(path)? == expected {
        return Ok(());
    }
    Err(format!(
        "{} is not what the settings say. To write it anew: {UPDATE}=1 cargo test -p consumer-group-app -p consumer-app -p publisher \
         settings",
        path.display()
    ))
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|cause| format!("cannot read {}: {cause}", path.display()))
}
