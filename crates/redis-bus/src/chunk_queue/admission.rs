//! Admission: the step that lets messages into the queue, each id once.

use std::time::Duration;

use bytes::Bytes;
use protocol::{ChunkId, QueueIdentity, StreamId};
use rand::RngExt;
use redis::{Cmd, Value, cmd};

use super::{ChunkQueue, QueueError, chunk::framed};
use crate::{BusError, Fingerprint};

/// The random part of a chunk's id is below this; Lua's numbers hold 512 times as much exactly.
pub(super) const RANDOM: u64 = 1 << 43;

/// How many entries of the id log are read at once; each has up to 8 KiB. The script knows it, too:
/// `append.lua`.
const PAGE: usize = 64;

/// How messages are admitted.
#[derive(Debug, Clone)]
pub struct Admission {
    /// For how long an id is remembered, and what became of its chunk. A chunk that a failover lost is taken
    /// for settled once it is older: so longer than anything is in work, also when no id need be remembered.
    pub window: Duration,
    /// The reader that is handed a chunk at once if nothing else waits.
    pub reader: Option<String>,
}

/// What a replica has heard.
#[derive(Debug, Clone, Copy)]
pub struct Offer<'a> {
    /// New messages: as many as [`super::fitting`] says at the most; or none, to tell of duplicates.
    pub messages: &'a [Bytes],
    /// For each of them, the fingerprint of its id.
    pub fingerprints: &'a [Fingerprint],
    /// How many more messages it heard whose ids it knows.
    pub duplicates: u64,
    /// The end of what it has read of the id log. `None` admits the messages whatever the log says.
    pub read_to: Option<StreamId>,
}

/// What an offer came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admitted {
    /// The messages are in the queue, as this chunk.
    Appended {
        /// The chunk.
        chunk: ChunkId,
        /// Whether the reader was handed it.
        is_handed_out: bool,
    },
    /// There was no message to admit; the duplicates are counted.
    Counted,
    /// Nothing was done: others have admitted messages meanwhile.
    Missed(LogPage),
    /// Nothing was done: what the caller has read of the log last is not there (any more). It must read the
    /// log anew, and offer again what it heard lately and the log does not have.
    Diverged,
}

/// An entry of the id log: what a chunk brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// The chunk.
    pub chunk: ChunkId,
    /// The fingerprints of its ids.
    pub fingerprints: Vec<Fingerprint>,
}

/// Some entries of the id log, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPage {
    /// The entries.
    pub entries: Vec<LogEntry>,
    /// Up to where the log has been read with them.
    pub read_to: StreamId,
    /// Whether that was its end.
    pub is_last: bool,
}

impl ChunkQueue {
    /// Admits messages as one chunk, if the caller knows all that was admitted before.
    ///
    /// After an error it can be repeated if the offer has messages and says what was read: what was admitted is
    /// then missed. Any other may have been carried out.
    ///
    /// # Errors
    /// [`QueueError`]; the messages may have been admitted only if Redis cannot be reached.
    pub async fn offer(
        &self,
        identity: &QueueIdentity,
        admission: &Admission,
        offer: Offer<'_>,
    ) -> Result<Admitted, QueueError> {
        let read_to = offer.read_to.map(|id| id.to_string()).unwrap_or_default();
        let window = u64::try_from(admission.window.as_millis()).unwrap_or(u64::MAX);
        let random = rand::rng().random_range(0..RANDOM);
        let messages = framed(offer.messages);
        let fingerprints: Vec<u8> = offer
            .fingerprints
            .iter()
            .flat_map(|fingerprint| *fingerprint.as_bytes())
            .collect();
        let args = |command: &mut Cmd| {
            command.arg(identity.as_str()).arg(&read_to).arg(window);
            command.arg(offer.duplicates).arg(random);
            command.arg(offer.messages.len()).arg(&messages[..]);
            command.arg(&fingerprints[..]);
            command.arg(admission.reader.as_deref().unwrap_or_default());
        };
        let script = &self.0.scripts.append;
        // Once only: whoever offers again must know that the first may have been carried out.
        let answer = self.run_once(script, args).await?;
        self.admitted(answer)
    }

    fn admitted(&self, answer: Value) -> Result<Admitted, QueueError> {
        let mut parts = match answer {
            Value::SimpleString(word) if word == "none" => return Ok(Admitted::Counted),
            Value::Array(parts) => parts.into_iter(),
            other => return Err(self.unknown(&format!("{other:?}"))),
        };
        let mut next = || parts.next().unwrap_or(Value::Nil);
        let word: String = self.read(next())?;
        match &*word {
            "appended" => Ok(Admitted::Appended {
                chunk: self.chunk(next())?,
                is_handed_out: self.read(next())?,
            }),
            "missed" => {
                let end = self.stream_id(next())?;
                Ok(Admitted::Missed(self.page(next(), PAGE, Some(end))?))
            }
            "diverged" => Ok(Admitted::Diverged),
            other => Err(self.unknown(other)),
        }
    }

    /// Reads the id log on from `read_to`, but nothing older than `since` (milliseconds by the clock of
    /// Redis).
    ///
    /// # Errors
    /// [`QueueError`]; it can be repeated.
    pub async fn read_log(&self, read_to: StreamId, since: u64) -> Result<LogPage, QueueError> {
        let start = if read_to.millis() < since {
            since.to_string()
        } else {
            format!("({read_to}")
        };
        let mut command = cmd("XRANGE");
        command.arg(&self.0.keys.id_log).arg(start).arg("+");
        command.arg("COUNT").arg(PAGE);
        let answer: Value = self.0.connection.query(&command).await?;
        let mut page = self.page(answer, PAGE, None)?;
        page.read_to = page.read_to.max(read_to);
        Ok(page)
    }

    /// Entries as `XRANGE` answers them, of which `most` were asked for; `end` is the last chunk there is,
    /// if known.
    fn page(
        &self,
        answer: Value,
        most: usize,
        end: Option<StreamId>,
    ) -> Result<LogPage, QueueError> {
        let answer: Vec<(String, Vec<Vec<u8>>)> = self.read(answer)?;
        let is_last = answer.len() < most;
        let mut entries = Vec::with_capacity(answer.len());
        for (id, fields) in answer {
            let bytes = fields.get(1).map(Vec::as_slice).unwrap_or_default();
            let fingerprints = bytes.as_chunks().0.iter().copied();
            entries.push(LogEntry {
                chunk: self.parse(&id)?,
                fingerprints: fingerprints.map(Fingerprint::from_bytes).collect(),
            });
        }
        let last = entries.last().map(|entry| entry.chunk.entry());
        // The log may have been trimmed up to its end.
        let read_to = end.filter(|_| is_last).or(last).unwrap_or_default();
        Ok(LogPage {
            entries,
            read_to,
            is_last,
        })
    }

    pub(super) fn chunk(&self, value: Value) -> Result<ChunkId, QueueError> {
        self.stream_id(value).map(ChunkId::from)
    }

    fn stream_id(&self, value: Value) -> Result<StreamId, QueueError> {
        let text: String = self.read(value)?;
        self.parse(&text)
    }

    /// The time by the clock of Redis, in milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// [`BusError`] when Redis cannot be reached or refuses.
    pub async fn now(&self) -> Result<u64, BusError> {
        let (seconds, micros): (u64, u64) = self.0.connection.query(&cmd("TIME")).await?;
        Ok(seconds * 1000 + micros / 1000)
    }
}
