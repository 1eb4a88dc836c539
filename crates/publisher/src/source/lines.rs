//! Messages from a file of JSON lines.

use std::{fmt, path::Path};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use protocol::{Message, message::MAX_MESSAGE_BYTES};
use tokio::{
    fs::File,
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader, stdin},
};

use super::Batch;

/// How much is read ahead.
const READ_AHEAD_BYTES: usize = 1 << 18;

/// How much of one line is read: one byte more than a message may have, so that more is noticed.
const MAX_LINE_BYTES: u64 = {
    #[expect(
        clippy::as_conversions,
        reason = "no other conversion is const; 1 MiB fits"
    )]
    let message = MAX_MESSAGE_BYTES as u64;
    message + 1
};

/// A file of JSON lines, read as it is needed.
pub(crate) struct Lines {
    /// What the file is called, for errors.
    name: String,
    reader: BufReader<Box<dyn AsyncRead + Send + Unpin>>,
    /// The number of the last line that was read.
    number: u64,
}

impl Lines {
    /// Opens a file; `-` is standard input.
    pub(super) async fn open(path: &Path) -> Result<Self> {
        if path == Path::new("-") {
            return Ok(Self::new("standard input".to_owned(), Box::new(stdin())));
        }
        let name = path.display().to_string();
        let file = File::open(path)
            .await
            .with_context(|| format!("cannot open {name}, named by --file"))?;
        Ok(Self::new(name, Box::new(file)))
    }

    fn new(name: String, file: Box<dyn AsyncRead + Send + Unpin>) -> Self {
        Self {
            name,
            reader: BufReader::with_capacity(READ_AHEAD_BYTES, file),
            number: 0,
        }
    }

    /// Fills the batch; leaves it empty at the end of the file.
    ///
    /// It waits for one message, then takes those that were read along with it, so that what a slow
    /// writer has written is published at once.
    pub(super) async fn read(&mut self, batch: &mut Batch) -> Result<()> {
        while batch.has_room() && (batch.bytes == 0 || self.reader.buffer().contains(&b'\n')) {
            let mut line = Vec::new();
            let mut limited = (&mut self.reader).take(MAX_LINE_BYTES);
            limited
                .read_until(b'\n', &mut line)
                .await
                .with_context(|| format!("cannot read {}", self.name))?;
            if line.is_empty() {
                break;
            }
            self.number += 1;
            let text = line.trim_ascii();
            if !text.is_empty() {
                let message = parse(text);
                batch.add(message.with_context(|| format!("{}, line {}", self.name, self.number))?);
            }
        }
        Ok(())
    }
}

fn parse(text: &[u8]) -> Result<Bytes> {
    if text.len() > MAX_MESSAGE_BYTES {
        bail!("longer than the {MAX_MESSAGE_BYTES} bytes a message may have");
    }
    let message = Message::parse(Bytes::copy_from_slice(text)).context("this is no message")?;
    Ok(message.body().clone())
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines")
            .field("name", &self.name)
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    fn lines(text: String) -> Lines {
        Lines::new("x".to_owned(), Box::new(std::io::Cursor::new(text)))
    }

    async fn batch(lines: &mut Lines) -> Result<Vec<Bytes>> {
        let mut batch = Batch::up_to(512);
        lines.read(&mut batch).await?;
        Ok(batch.messages)
    }

    #[tokio::test]
    async fn every_line_is_a_message_as_it_stands_and_empty_ones_are_passed_over() {
        let mut lines =
            lines("\n{\"message_id\":\"a\", \"n\": 1}\r\n\n{\"message_id\":\"b\"}".into());
        let first = batch(&mut lines).await.unwrap();
        assert_eq!(first, [&br#"{"message_id":"a", "n": 1}"#[..]]);
        let second = batch(&mut lines).await.unwrap();
        assert_eq!(second, [&br#"{"message_id":"b"}"#[..]]);
        assert!(batch(&mut lines).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_bad_line_is_named() {
        let mut bad = lines("{\"message_id\":\"a\"}\n{\"id\":\"b\"}\n".into());
        let error = batch(&mut bad).await.unwrap_err();
        assert!(format!("{error:#}").starts_with("x, line 2: "), "{error:#}");
        let mut long = lines("x".repeat(MAX_MESSAGE_BYTES * 2));
        let error = batch(&mut long).await.unwrap_err();
        assert!(format!("{error:#}").contains("longer than"), "{error:#}");
    }

    #[tokio::test]
    async fn what_a_slow_writer_has_written_is_given_out_at_once() {
        let (mut writer, reader) = tokio::io::duplex(1000);
        let mut lines = Lines::new("x".to_owned(), Box::new(reader));
        writer
            .write_all(b"{\"message_id\":\"a\"}\n{\"message_id\":\"b\"}\n{\"mess")
            .await
            .unwrap();
        assert_eq!(batch(&mut lines).await.unwrap().len(), 2);
        writer.write_all(b"age_id\":\"c\"}\n").await.unwrap();
        assert_eq!(batch(&mut lines).await.unwrap().len(), 1);
    }
}
