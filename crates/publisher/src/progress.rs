//! What the person at the terminal sees.

use std::{
    io::{IsTerminal, stderr},
    time::{Duration, Instant},
};

use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressStyle};

use crate::account::Account;

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
    Lines {
        /// How many messages there will be, where that is known.
        total: Option<u64>,
        /// When the last line was written.
        last: Instant,
    },
}

impl Progress {
    pub(crate) fn start(total: Option<u64>) -> Self {
        if !stderr().is_terminal() {
            let last = Instant::now();
            return Self::Lines { total, last };
        }
        let (bar, template) = match total {
            Some(total) => (ProgressBar::new(total), KNOWN_TOTAL),
            None => (ProgressBar::no_length(), UNKNOWN_TOTAL),
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self::Bar(bar)
    }

    pub(crate) fn show(&mut self, account: &Account) {
        match self {
            Self::Bar(bar) => bar.set_position(account.published),
            Self::Lines { total, last } => {
                if last.elapsed() >= LINE_EVERY {
                    *last = Instant::now();
                    tell(&line(account, *total));
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

fn line(account: &Account, total: Option<u64>) -> String {
    let published = HumanCount(account.published);
    let rate = account.rate();
    match total {
        Some(total) => {
            let left = total.saturating_sub(account.published) / rate.max(1);
            let left = HumanDuration(Duration::from_secs(left));
            let total = HumanCount(total);
            format!(
                "{published} of {total} published ({}/s, {left} left)",
                HumanCount(rate)
            )
        }
        None => format!("{published} published ({}/s)", HumanCount(rate)),
    }
}

/// The closing account.
#[expect(
    clippy::print_stdout,
    reason = "the account is what this program is asked for"
)]
pub(crate) fn tell_account(account: &Account) {
    println!(
        "published {} messages in {:.3} s ({}/s)",
        HumanCount(account.published),
        account.elapsed.as_secs_f64(),
        HumanCount(account.rate())
    );
    if let Some((fewest, most)) = account.subscribers {
        println!(
            "subscribers each message reached: {fewest} to {most}; messages that reached none: {}",
            HumanCount(account.reached_none)
        );
    }
    if account.reached_none > 0 {
        tell(&format!(
            "warning: for {} messages nobody was subscribed: these messages are gone; is \
             consumer-group-app running?",
            HumanCount(account.reached_none)
        ));
    }
}

/// An error with its causes.
pub(crate) fn tell_error(error: &anyhow::Error) {
    let text = service_kit::telemetry::chain(error.as_ref());
    tell(&format!("error: {text}"));
}

#[expect(
    clippy::print_stderr,
    reason = "this is a program for people at a terminal"
)]
fn tell(text: &str) {
    eprintln!("{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_how_fast_and_how_long_still() {
        let mut account = Account::default();
        account.add(&[1; 1000], Duration::from_millis(500));
        assert_eq!(
            line(&account, Some(9000)),
            "1,000 of 9,000 published (2,000/s, 4 seconds left)"
        );
        assert_eq!(line(&account, None), "1,000 published (2,000/s)");
    }
}
