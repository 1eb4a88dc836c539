//! What the person at the terminal sees: steps, progress, tables.

use std::{
    io::{IsTerminal, stderr},
    sync::Once,
    time::{Duration, Instant},
};

use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use service_kit::output;

/// How often a plain line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(1);

/// Says what happens next, or what came of it. What cannot be written does not end the work: that is told once, or
/// not at all if nobody reads any more.
pub(crate) fn say(text: &str) {
    static IS_TOLD: Once = Once::new();
    match output::say(format_args!("{text}")) {
        Err(error) if !error.is_closed() => {
            IS_TOLD.call_once(|| warn(&format!("{:#}", anyhow::Error::from(error))));
        }
        Ok(()) | Err(_) => {}
    }
}

/// Says what happens next, with space before it.
pub(crate) fn step(text: &str) {
    say(&format!("\n==> {text}"));
}

/// Says what should not go unseen, or what is no result.
pub(crate) fn warn(text: &str) {
    output::print_error(text);
}

/// Rows as lines: the first column to the left, all others to the right.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            let cell = match column {
                0 => format!("{cell:<width$}"),
                _ => format!("  {cell:>width$}"),
            };
            line.push_str(&cell);
        }
        text.push_str(&format!("  {}\n", line.trim_end()));
    }
    text
}

/// A count with separators.
pub(crate) fn count(number: u64) -> String {
    HumanCount(number).to_string()
}

/// How far something has got: a bar on a terminal, otherwise a line now and then.
#[derive(Debug)]
pub(crate) struct Progress {
    what: &'static str,
    total: u64,
    bar: Option<ProgressBar>,
    last_line: Instant,
}

impl Progress {
    pub(crate) fn start(what: &'static str, total: u64) -> Self {
        let template = "    {bar:30} {human_pos}/{human_len} {msg}  {per_sec}  {eta} left";
        let bar = stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(total).with_message(what);
            match ProgressStyle::with_template(template) {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            }
        });
        Self {
            what,
            total,
            bar,
            last_line: Instant::now(),
        }
    }

    pub(crate) fn show(&mut self, done: u64) {
        match &self.bar {
            Some(bar) => bar.set_position(done),
            None if self.last_line.elapsed() >= LINE_EVERY => {
                self.last_line = Instant::now();
                let (done, total) = (count(done), count(self.total));
                warn(&format!("    {done} of {total} {}", self.what));
            }
            None => {}
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_a_table_stand_below_each_other() {
        let row = |cells: &[&str]| cells.iter().map(|&cell| cell.to_owned()).collect();
        let rows = [row(&["a", "12"]), row(&["long", "1", "x"])];
        assert_eq!(table(&rows), "  a     12\n  long   1  x\n");
    }
}
