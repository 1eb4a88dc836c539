//! How far it has got, for the person at the terminal.

use std::{
    io::{IsTerminal, stderr},
    time::{Duration, Instant},
};

use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressStyle};

use crate::output::note;

/// How often a plain line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(1);

const KNOWN_TOTAL: &str = "{bar:30} {human_pos}/{human_len}  {per_sec}  {eta} left";
const UNKNOWN_TOTAL: &str = "{spinner} {human_pos}  {per_sec}  {elapsed}";

/// Shows how far it has got: a bar on a terminal, otherwise a line now and then.
#[derive(Debug)]
pub(crate) enum Progress {
    /// On a terminal.
    Bar(ProgressBar),
    /// Anywhere else.
    Lines(Lines),
}

/// What lines are made of.
#[derive(Debug)]
pub(crate) struct Lines {
    /// What is done to each, such as `published`.
    done: &'static str,
    /// How many there will be, where that is known.
    total: Option<u64>,
    started: Instant,
    last: Instant,
}

impl Progress {
    pub(crate) fn start(done: &'static str, total: Option<u64>) -> Self {
        if !stderr().is_terminal() {
            let now = Instant::now();
            return Self::Lines(Lines {
                done,
                total,
                started: now,
                last: now,
            });
        }
        let (bar, template) = match total {
            Some(total) => (ProgressBar::new(total), KNOWN_TOTAL),
            None => (ProgressBar::no_length(), UNKNOWN_TOTAL),
        };
        if let Ok(style) = ProgressStyle::with_template(&format!("{template}  {done}")) {
            bar.set_style(style);
        }
        Self::Bar(bar)
    }

    /// So many are done.
    pub(crate) fn show(&mut self, count: u64) {
        match self {
            Self::Bar(bar) => bar.set_position(count),
            Self::Lines(lines) => {
                if lines.last.elapsed() >= LINE_EVERY {
                    lines.last = Instant::now();
                    note(&lines.text(count, lines.started.elapsed()));
                }
            }
        }
    }

    pub(crate) fn finish(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

impl Lines {
    fn text(&self, count: u64, elapsed: Duration) -> String {
        let done = self.done;
        let rate = rate(count, elapsed);
        let (shown, shown_rate) = (HumanCount(count), HumanCount(rate));
        match self.total {
            Some(total) => {
                let left = total.saturating_sub(count) / rate.max(1);
                let left = HumanDuration(Duration::from_secs(left));
                let total = HumanCount(total);
                format!("{shown} of {total} {done} ({shown_rate}/s, {left} left)")
            }
            None => format!("{shown} {done} ({shown_rate}/s)"),
        }
    }
}

/// How many a second, rounded down.
pub(crate) fn rate(count: u64, elapsed: Duration) -> u64 {
    let rate = u128::from(count) * 1_000_000 / elapsed.as_micros().max(1);
    u64::try_from(rate).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_how_fast_and_how_long_still() {
        let now = Instant::now();
        let mut lines = Lines {
            done: "published",
            total: Some(9000),
            started: now,
            last: now,
        };
        let elapsed = Duration::from_millis(500);
        assert_eq!(
            lines.text(1000, elapsed),
            "1,000 of 9,000 published (2,000/s, 4 seconds left)"
        );
        lines.total = None;
        assert_eq!(lines.text(1000, elapsed), "1,000 published (2,000/s)");
    }
}
