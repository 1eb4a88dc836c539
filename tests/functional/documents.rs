//! The documents: their links lead somewhere, and they stay short.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use local_stack::binaries::workspace;

/// The most words of README.
const README_WORDS: usize = 1200;

/// The most words of any other document.
const WORDS: usize = 2500;

/// The widest line of prose, in characters.
const COLUMNS: usize = 110;

struct Document {
    path: PathBuf,
    text: String,
}

impl Document {
    fn read(path: &Path) -> Result<Self> {
        let path = path.to_path_buf();
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Self { path, text })
    }

    /// The lines that are not in a fenced block, with their numbers.
    fn prose(&self) -> impl Iterator<Item = (usize, &str)> {
        let mut is_code = false;
        let lines = self.text.lines().enumerate();
        lines.filter_map(move |(number, line)| {
            if line.trim_start().starts_with("```") {
                is_code = !is_code;
                return None;
            }
            (!is_code).then_some((number + 1, line))
        })
    }

    /// What its links lead to.
    fn links(&self) -> Vec<&str> {
        let lines = self.prose().map(|(_, line)| line);
        let links = lines.flat_map(|line| line.split("](").skip(1));
        links.filter_map(|rest| rest.split(')').next()).collect()
    }

    /// The anchors of its headings, as GitHub makes them.
    fn anchors(&self) -> BTreeSet<String> {
        let headings = self.prose().filter_map(|(_, line)| {
            let text = line.trim_start_matches('#');
            (text.len() < line.len()).then(|| text.trim())
        });
        headings.map(anchor).collect()
    }
}

fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter_map(|letter| match letter {
        ' ' => Some('-'),
        '-' | '_' => Some(letter),
        letter => letter.is_alphanumeric().then_some(letter),
    });
    kept.collect::<String>().to_lowercase()
}

/// All documents for people.
fn documents() -> Result<Vec<Document>> {
    let mut paths = Vec::new();
    let folders = ["", "docs", "docs/openapi", "clients/python", "clients/node"];
    for folder in folders {
        for entry in fs::read_dir(workspace().join(folder))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "md") {
                paths.push(path);
            }
        }
    }
    assert!(paths.len() > 10, "{paths:?}");
    paths.iter().map(|path| Document::read(path)).collect()
}

#[test]
fn every_link_of_the_documents_leads_somewhere() -> Result<()> {
    let mut lost = Vec::new();
    for document in documents()? {
        let folder = document.path.parent().context("no folder")?;
        for link in document.links() {
            if link.starts_with("http://") || link.starts_with("https://") {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => document.path.clone(),
                file => folder.join(file),
            };
            let is_found = match heading {
                "" => target.exists(),
                heading => target.is_file() && Document::read(&target)?.anchors().contains(heading),
            };
            if !is_found {
                lost.push(format!("{}: {link}", document.path.display()));
            }
        }
    }
    assert!(lost.is_empty(), "{lost:#?}");
    Ok(())
}

#[test]
fn documents_are_short() -> Result<()> {
    for document in documents()? {
        let name = document.path.file_name().and_then(|name| name.to_str());
        let most = match name.context("no name")? {
            "README.md" => README_WORDS,
            // These grow with the program.
            "CHANGELOG.md" | "ARCHITECTURE.md" => continue,
            _ => WORDS,
        };
        let words = document.text.split_whitespace().count();
        assert!(
            words <= most,
            "{}: {words} words, {most} at most",
            document.path.display()
        );
    }
    Ok(())
}

#[test]
fn lines_of_prose_are_at_most_110_wide() -> Result<()> {
    let mut wide = Vec::new();
    for document in documents()? {
        let lines = document.prose().filter(|(_, line)| {
            // Tables and links cannot be broken.
            !line.starts_with('|') && line.chars().count() > COLUMNS && line.contains(' ')
        });
        let place = |(number, _): (usize, &str)| format!("{}:{number}", document.path.display());
        wide.extend(lines.map(place));
    }
    assert!(wide.is_empty(), "{wide:#?}");
    Ok(())
}
