//! What a service has logged, and waiting for more.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Result, bail};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    sync::watch,
    time::timeout,
};

/// How many lines are kept; the oldest go first.
const KEPT_LINES: usize = 20_000;

/// How many lines an error quotes.
const QUOTED_LINES: usize = 20;

/// A handle on the lines; clones share them.
#[derive(Debug, Clone)]
pub struct LogLines(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    kept: Mutex<Kept>,
    /// How many lines there have been, for those who wait.
    seen: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct Kept {
    lines: VecDeque<String>,
    /// How many lines went before the first that is kept.
    dropped: usize,
}

impl LogLines {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Shared {
            kept: Mutex::default(),
            seen: watch::Sender::new(0),
        }))
    }

    /// Takes lines until the other end is closed.
    pub(crate) async fn read(self, output: impl AsyncRead + Unpin) {
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        while let Ok(1..) = output.read_until(b'\n', &mut line).await {
            self.push(String::from_utf8_lossy(line.trim_ascii_end()).into_owned());
            line.clear();
        }
    }

    /// Everything that is kept, oldest first.
    #[must_use]
    pub fn all(&self) -> Vec<String> {
        self.kept().lines.iter().cloned().collect()
    }

    /// How many lines there have been: a mark for [`LogLines::wait_for_since`].
    #[must_use]
    pub fn mark(&self) -> usize {
        *self.0.seen.borrow()
    }

    /// Waits for a line that contains `text`, or returns one that is there already.
    ///
    /// # Errors
    /// When none comes in time; the last lines are in the error.
    pub async fn wait_for(&self, text: &str, limit: Duration) -> Result<String> {
        self.wait_for_since(0, text, limit).await
    }

    /// Waits for a line that contains `text` and came after the mark.
    ///
    /// # Errors
    /// When none comes in time; the last lines are in the error.
    pub async fn wait_for_since(&self, mark: usize, text: &str, limit: Duration) -> Result<String> {
        let mut seen = self.0.seen.subscribe();
        let mut from = mark;
        let search = async {
            loop {
                let until = *seen.borrow_and_update();
                if let Some(line) = self.find(from, text) {
                    return line;
                }
                from = from.max(until);
                if seen.changed().await.is_err() {
                    // The sender is ours and lives as long as this borrow.
                    std::future::pending::<()>().await;
                }
            }
        };
        match timeout(limit, search).await {
            Ok(line) => Ok(line),
            Err(_) => bail!(
                "waited {limit:?} in vain for `{text}` in the log, which ends:\n{}",
                self.tail()
            ),
        }
    }

    /// The last lines, for an error.
    pub(crate) fn tail(&self) -> String {
        let lines = self.all();
        let first = lines.len().saturating_sub(QUOTED_LINES);
        lines[first..].join("\n")
    }

    fn find(&self, from: usize, text: &str) -> Option<String> {
        let kept = self.kept();
        let skip = from.saturating_sub(kept.dropped);
        let mut lines = kept.lines.iter().skip(skip);
        lines.find(|line| line.contains(text)).cloned()
    }

    fn push(&self, line: String) {
        let seen = {
            let mut kept = self.kept();
            kept.lines.push_back(line);
            if kept.lines.len() > KEPT_LINES {
                kept.lines.pop_front();
                kept.dropped += 1;
            }
            kept.dropped + kept.lines.len()
        };
        self.0.seen.send_replace(seen);
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn a_line_that_was_there_and_a_line_to_come_are_both_found() {
        let lines = LogLines::new();
        lines.push("one apple".to_owned());
        assert_eq!(lines.wait_for("apple", SOON).await.unwrap(), "one apple");
        let mark = lines.mark();
        let (found, ()) = tokio::join!(lines.wait_for_since(mark, "apple", SOON), async {
            lines.push("a pear".to_owned());
            tokio::task::yield_now().await;
            lines.push("another apple".to_owned());
        });
        assert_eq!(found.unwrap(), "another apple");
    }

    #[tokio::test]
    async fn waiting_in_vain_ends_and_quotes_the_log() {
        let lines = LogLines::new();
        lines.push("a pear".to_owned());
        let error = lines
            .wait_for("apple", Duration::from_millis(10))
            .await
            .unwrap_err();
        assert!(error.to_string().contains("a pear"), "{error}");
    }

    #[tokio::test]
    async fn output_is_taken_line_by_line_and_only_so_much_is_kept() {
        let lines = LogLines::new();
        let output = format!("first\n{}last", "more\n".repeat(KEPT_LINES));
        lines.clone().read(output.as_bytes()).await;
        let all = lines.all();
        assert_eq!(all.len(), KEPT_LINES);
        assert_eq!(lines.mark(), KEPT_LINES + 2);
        assert_eq!(all.last().unwrap(), "last");
        assert!(lines.wait_for("last", SOON).await.is_ok());
    }
}
