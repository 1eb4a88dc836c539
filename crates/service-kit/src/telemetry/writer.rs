//! Standard output as a log: written by a thread of its own, so that nobody who logs waits for the reader.
//!
//! A pipe that nobody reads, a log driver that hangs, or a stopped terminal blocks whoever writes to it. Here that is
//! this thread alone. Lines wait for it in memory, up to a bound; what comes beyond that is dropped and counted, and
//! the count is logged as soon as lines flow again.

use std::{
    fs::File,
    io::{self, ErrorKind, Write},
    os::fd::AsFd,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use tracing::warn;

/// The most bytes of log lines that wait; while they are written, as many again may gather.
const MAX_WAITING_BYTES: usize = 1024 * 1024;

/// The room that is kept for lines when none wait.
const KEPT_BYTES: usize = 64 * 1024;

/// How soon an output that takes nothing now, and does not block, is tried again.
const RETRY: Duration = Duration::from_millis(20);

/// How long the last lines may take at the end of the process.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a panic waits for its line, as the process may end with it.
const PANIC_FLUSH_TIMEOUT: Duration = Duration::from_millis(100);

/// The process has one log, and so one number of dropped lines.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// How many log lines were dropped since the start, because nobody read the log.
pub(crate) fn dropped_lines() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// Where log lines go. Clones share it. Each write is a line.
#[derive(Debug, Clone)]
pub(super) struct LogWriter(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    /// There are lines to write.
    filled: Condvar,
    /// All lines are written.
    emptied: Condvar,
}

/// The lines nobody has written yet.
#[derive(Debug, Default)]
struct Waiting {
    lines: Vec<u8>,
    /// Lines that had no room since the thread last took some.
    dropped: u64,
    /// Whether the thread has taken lines and not written them all.
    is_writing: bool,
}

impl LogWriter {
    /// A writer to standard output, and the thread that writes.
    pub(super) fn start() -> io::Result<Self> {
        // Not `io::stdout()` itself: it locks, and waits for that lock at exit.
        let output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        let writer = Self(Arc::default());
        let shared = Arc::clone(&writer.0);
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || shared.write_to(output))?;
        Ok(writer)
    }

    /// Waits until a panic's line is written, as the process may end with it, but hardly: it may not, either.
    pub(super) fn flush_panic(&self) {
        self.flush_within(PANIC_FLUSH_TIMEOUT);
    }

    /// Waits until all lines are written, but not for long: nobody may be reading.
    fn flush_within(&self, limit: Duration) {
        let waiting = self.0.waiting();
        let is_busy = |waiting: &mut Waiting| waiting.is_writing || !waiting.lines.is_empty();
        drop(self.0.emptied.wait_timeout_while(waiting, limit, is_busy));
    }
}

impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut waiting = self.0.waiting();
        if waiting.lines.len() + line.len() > MAX_WAITING_BYTES {
            waiting.dropped += 1;
            DROPPED.fetch_add(1, Ordering::Relaxed);
        } else {
            waiting.lines.extend_from_slice(line);
        }
        drop(waiting);
        self.0.filled.notify_one();
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    /// Writes lines as they come, until the process ends.
    fn write_to(&self, mut output: impl Write) {
        let mut lines = Vec::new();
        let mut unwritten = 0;
        let mut is_torn = false;
        loop {
            let dropped = self.take(&mut lines);
            if dropped > 0 {
                // It comes after what was taken, which is where the gap is.
                warn!(
                    dropped,
                    "{dropped} log lines were dropped because nobody read the log"
                );
            }
            if is_torn {
                lines.insert(0, b'\n');
            }
            match write_all(&mut output, &lines) {
                Ok(()) => {
                    is_torn = false;
                    if unwritten > 0 {
                        warn!(unwritten, "{unwritten} log lines could not be written");
                        unwritten = 0;
                    }
                }
                Err(written) => {
                    let (done, rest) = lines.split_at(written);
                    is_torn = done.last().map_or(is_torn, |&last| last != b'\n');
                    let ends = rest.iter().filter(|&&byte| byte == b'\n').count();
                    let lost = u64::try_from(ends).unwrap_or(u64::MAX);
                    DROPPED.fetch_add(lost, Ordering::Relaxed);
                    unwritten += lost;
                }
            }
            lines.clear();
            lines.shrink_to(KEPT_BYTES);
            self.note_written();
        }
    }

    /// Waits for lines and takes them all; answers how many had no room.
    fn take(&self, lines: &mut Vec<u8>) -> u64 {
        let is_empty = |waiting: &mut Waiting| waiting.lines.is_empty() && waiting.dropped == 0;
        let waited = self.filled.wait_while(self.waiting(), is_empty);
        let mut waiting = waited.unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(lines, &mut waiting.lines);
        waiting.is_writing = true;
        std::mem::take(&mut waiting.dropped)
    }

    fn note_written(&self) {
        let mut waiting = self.waiting();
        waiting.is_writing = false;
        if waiting.lines.is_empty() {
            self.emptied.notify_all();
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes all, or answers how many bytes could be written.
fn write_all(output: &mut impl Write, bytes: &[u8]) -> Result<(), usize> {
    let mut written = 0;
    while written < bytes.len() {
        match output.write(&bytes[written..]) {
            Ok(0) => return Err(written),
            Ok(count) => written += count,
            Err(cause) => match cause.kind() {
                ErrorKind::Interrupted => {}
                // Whoever shares the pipe with us may have made it one that does not block.
                ErrorKind::WouldBlock => thread::park_timeout(RETRY),
                _ => return Err(written),
            },
        }
    }
    Ok(())
}

/// Writes the last lines when it is dropped.
#[must_use]
#[derive(Debug)]
pub struct LogGuard(pub(super) LogWriter);

impl Drop for LogGuard {
    fn drop(&mut self) {
        self.0.flush_within(FLUSH_TIMEOUT);
    }
}

#[cfg(test)]
mod tests;
