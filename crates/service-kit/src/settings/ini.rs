//! Reads a settings file as Python's `configparser` does, which the original used.
//!
//! Sections, `key = value` or `key: value`, and lines that begin with `#` or `;`, which are comments. A
//! value is what stands after the first `=` or `:`, without the white space around it; nothing in it is
//! special. What `configparser` has beyond that is refused, with the number of the line: values that go on
//! in an indented line, and `%(…)s` and `%%`.
//! See <https://docs.python.org/3/library/configparser.html#supported-ini-file-structure>.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

/// The most bytes of a settings file.
const MAX_BYTES: u64 = 1 << 20;

/// A value of a settings file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// `section.key`, in lower case.
    pub(super) key: String,
    pub(super) value: String,
    /// The number of its line, from 1.
    pub(super) line: usize,
}

/// Why a settings file cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The system does not let us read it.
    #[error("cannot read it")]
    Io(#[from] io::Error),
    /// It is not text as we know it.
    #[error("{0}; save it as UTF-8")]
    Encoding(String),
    /// It is longer than a settings file can be.
    #[error("it is longer than {MAX_BYTES} bytes")]
    TooLong,
    /// A line says nothing that can be understood.
    #[error("line {line}: {problem}")]
    Line {
        /// The number of the line, from 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
}

/// All values of a file, in their order.
pub(super) fn read(path: &Path) -> Result<Vec<Entry>, FileError> {
    let mut bytes = Vec::new();
    let mut file = File::open(path)?.take(MAX_BYTES + 1);
    file.read_to_end(&mut bytes)?;
    if file.limit() == 0 {
        return Err(FileError::TooLong);
    }
    parse(text(&bytes)?)
}

/// The text of a file, without the mark that some editors begin it with.
fn text(bytes: &[u8]) -> Result<&str, FileError> {
    let is_utf16 = bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff");
    if is_utf16 || bytes.contains(&0) {
        return Err(FileError::Encoding("it looks like UTF-16".to_owned()));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|error| {
        let (good, bad) = bytes.split_at(error.valid_up_to());
        let line = String::from_utf8_lossy(good).split('\n').count();
        let byte = bad.first().copied().unwrap_or_default();
        FileError::Encoding(format!("line {line}: the byte 0x{byte:02X} is not UTF-8"))
    })
}

#[derive(Default)]
struct Reader<'a> {
    section: Option<&'a str>,
    /// How far the line of the value before is indented, if a value can go on here.
    indent: Option<usize>,
    entries: Vec<Entry>,
}

fn parse(text: &str) -> Result<Vec<Entry>, FileError> {
    let mut reader = Reader::default();
    // A line ends in LF, CR LF or CR.
    let text = text.replace("\r\n", "\n");
    for (number, line) in (1..).zip(text.split(['\n', '\r'])) {
        reader
            .take(number, line)
            .map_err(|problem| FileError::Line {
                line: number,
                problem,
            })?;
    }
    Ok(reader.entries)
}

impl<'a> Reader<'a> {
    fn take(&mut self, number: usize, line: &'a str) -> Result<(), String> {
        let content = line.trim();
        if content.is_empty() || content.starts_with(['#', ';']) {
            return Ok(());
        }
        let indent = line.chars().take_while(|c| c.is_whitespace()).count();
        if self.indent.is_some_and(|above| indent > above) {
            return Err("it is indented, which would make it part of the value above".to_owned());
        }
        if content.starts_with('[') {
            self.section = Some(section(content)?);
            self.indent = None;
            return Ok(());
        }
        self.indent = Some(indent);
        self.add(number, content)
    }

    fn add(&mut self, number: usize, content: &str) -> Result<(), String> {
        let (key, value) = content
            .split_once(['=', ':'])
            .ok_or("expected [section], key = value, or a comment that begins with #")?;
        let (key, value) = (key.trim_end(), value.trim_start());
        if key.is_empty() {
            return Err("there is no key before the value".to_owned());
        }
        for mark in ["%(", "%%"] {
            if value.contains(mark) {
                return Err(format!("`{mark}` is not supported in a settings file"));
            }
        }
        let section = self
            .section
            .ok_or("expected a [section] before the first key")?;
        let key = format!("{section}.{key}").to_lowercase();
        if let Some(first) = self.entries.iter().find(|entry| entry.key == key) {
            return Err(format!("`{key}` was given in line {} already", first.line));
        }
        let value = value.to_owned();
        self.entries.push(Entry {
            key,
            value,
            line: number,
        });
        Ok(())
    }
}

/// The name of a section.
fn section(line: &str) -> Result<&str, String> {
    let (name, rest) = line[1..]
        .split_once(']')
        .ok_or("expected ] after the section's name")?;
    let rest = rest.trim_start();
    if rest.is_empty() || rest.starts_with(['#', ';']) {
        return Ok(name);
    }
    Err("expected nothing after the ] of a section".to_owned())
}
