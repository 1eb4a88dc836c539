//! What this replica has read of the id log: which ids were admitted lately, by whichever replica.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use protocol::{QueueIdentity, StreamId};
use redis_bus::{
    Fingerprint, IdWindow,
    chunk_queue::{ChunkQueue, LogPage, QueueError},
};
use tracing::info;

use super::Received;

/// How often it is logged how far reading has come.
const PROGRESS_EVERY: Duration = Duration::from_secs(3);

/// The id log of one queue, up to where it was read.
#[derive(Debug)]
pub(super) struct IdLog {
    pub(super) queue: QueueIdentity,
    ids: IdWindow,
    pub(super) read_to: StreamId,
    window_millis: u64,
}

/// Payloads, as far as they are known.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    /// Those to admit: their places.
    pub(super) new: Vec<usize>,
    /// How many are known.
    pub(super) duplicates: u64,
    /// How many an earlier offer of ours has admitted, whose answer was lost.
    pub(super) admitted_before: u64,
}

impl Sorted {
    /// Those that are new.
    pub(super) fn keep_new(&self, received: &[Received]) -> Vec<Received> {
        self.new
            .iter()
            .map(|place| received[*place].clone())
            .collect()
    }
}

impl IdLog {
    /// Opens the queue and reads its log, as far back as `window`.
    pub(super) async fn read(queue: &ChunkQueue, window: Duration) -> Result<Self, QueueError> {
        let (identity, last) = queue.open().await?;
        let mut log = Self {
            queue: identity,
            ids: IdWindow::new(),
            read_to: StreamId::ZERO,
            window_millis: u64::try_from(window.as_millis()).unwrap_or(u64::MAX),
        };
        if window.is_zero() {
            log.read_to = last;
            return Ok(log);
        }
        let since = queue.now().await?.saturating_sub(log.window_millis);
        let mut progress_at = Instant::now() + PROGRESS_EVERY;
        loop {
            let page = queue.read_log(log.read_to, since).await?;
            let is_last = page.is_last;
            log.extend(page);
            if is_last {
                break;
            }
            if Instant::now() >= progress_at {
                progress_at += PROGRESS_EVERY;
                info!(
                    ids = log.ids.len(),
                    "reading which messages were admitted lately"
                );
            }
        }
        // Its last entries may be trimmed.
        log.read_to = log.read_to.max(last);
        Ok(log)
    }

    /// Whether the log still has what was read of it last. If not, it has lost its end, and maybe got another one
    /// since. Where that is not known, because it was trimmed, the answer is no, too.
    pub(super) async fn is_current(&self, queue: &ChunkQueue) -> Result<bool, QueueError> {
        let (identity, last) = queue.open().await?;
        if identity != self.queue || last == self.read_to {
            return Ok(identity == self.queue);
        }
        let since = queue.read_log(StreamId::ZERO, self.read_to.millis());
        let entries = since.await?.entries;
        Ok(entries
            .iter()
            .any(|entry| entry.chunk.entry() == self.read_to))
    }

    /// Remembers what others have admitted.
    pub(super) fn extend(&mut self, page: LogPage) {
        for entry in page.entries {
            self.remember(entry.chunk.entry(), entry.fingerprints);
        }
        self.read_to = self.read_to.max(page.read_to);
    }

    /// Remembers the ids of the last chunk.
    pub(super) fn remember(
        &mut self,
        chunk: StreamId,
        fingerprints: impl IntoIterator<Item = Fingerprint>,
    ) {
        if self.window_millis > 0 {
            self.ids.extend(chunk.millis(), fingerprints);
            let since = chunk.millis().saturating_sub(self.window_millis);
            self.ids.forget_before(since);
        }
        self.read_to = chunk;
    }

    /// What is known of these payloads; `unsure` is what an offer without an answer may have admitted.
    pub(super) fn sort(&self, received: &[Received], unsure: &HashSet<Fingerprint>) -> Sorted {
        let mut sorted = Sorted::default();
        if self.window_millis == 0 {
            sorted.new = (0..received.len()).collect();
            return sorted;
        }
        let mut seen = HashSet::with_capacity(received.len());
        for (place, one) in received.iter().enumerate() {
            let is_first = seen.insert(one.fingerprint);
            if !is_first {
                sorted.duplicates += 1;
            } else if !self.ids.contains(&one.fingerprint) {
                sorted.new.push(place);
            } else if unsure.contains(&one.fingerprint) {
                sorted.admitted_before += 1;
            } else {
                sorted.duplicates += 1;
            }
        }
        sorted
    }
}
