//! The stream below a connection: it bounds how much of an answer is read, and keeps how the answer begins.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use hyper::StatusCode;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// The length of what an answer begins with, such as `HTTP/1.1 200`, in bytes.
const STATUS_LINE: usize = 12;

/// What a connection knows of its stream; clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct ReadLimit(Arc<Mutex<Reading>>);

#[derive(Debug, Default)]
struct Reading {
    /// How many bytes may yet be read.
    left: usize,
    is_used_up: bool,
    start: Vec<u8>,
}

impl ReadLimit {
    fn reading(&self) -> MutexGuard<'_, Reading> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An answer of so many bytes may come, all that precedes it included.
    pub(super) fn begin(&self, most: usize) {
        let mut reading = self.reading();
        reading.left = most;
        reading.start.clear();
    }

    /// Whether more came.
    pub(super) fn is_used_up(&self) -> bool {
        self.reading().is_used_up
    }

    /// The status that the answer begins with, however unreadable the rest is.
    pub(super) fn status(&self) -> Option<StatusCode> {
        status(&self.reading().start)
    }

    fn note(&self, bytes: &[u8]) -> io::Result<()> {
        let mut reading = self.reading();
        let wanted = STATUS_LINE - reading.start.len();
        reading.start.extend(bytes.iter().take(wanted));
        let Some(left) = reading.left.checked_sub(bytes.len()) else {
            reading.is_used_up = true;
            return Err(io::Error::other("the answer is too long"));
        };
        reading.left = left;
        Ok(())
    }
}

/// A status of an answer, not one of those that precede it.
fn status(start: &[u8]) -> Option<StatusCode> {
    let [version @ .., b' ', a, b, c] = start else {
        return None;
    };
    let is_http = matches!(version, b"HTTP/1.1" | b"HTTP/1.0");
    let status = StatusCode::from_bytes(&[*a, *b, *c]).ok()?;
    (is_http && !status.is_informational()).then_some(status)
}

/// The stream itself.
#[derive(Debug)]
pub(super) struct LimitedStream {
    stream: TcpStream,
    limit: ReadLimit,
}

impl LimitedStream {
    pub(super) fn new(stream: TcpStream, limit: ReadLimit) -> Self {
        Self { stream, limit }
    }
}

impl AsyncRead for LimitedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let read = buffer.filled().get(before..).unwrap_or_default();
        Poll::Ready(self.limit.note(read))
    }
}

impl AsyncWrite for LimitedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_from_the_first_bytes() {
        assert_eq!(status(b"HTTP/1.1 200"), Some(StatusCode::OK));
        assert_eq!(
            status(b"HTTP/1.0 503"),
            Some(StatusCode::SERVICE_UNAVAILABLE)
        );
        for start in [
            &b"HTTP/1.1 100"[..],
            b"HTTP/1.1 20",
            b"\0\xff\x16 what is",
            b"",
        ] {
            assert_eq!(status(start), None);
        }
    }

    #[test]
    fn no_more_is_read_than_may_be() {
        let limit = ReadLimit::default();
        limit.begin(20);
        limit.note(b"HTTP/1").unwrap();
        limit.note(b".1 404 Not").unwrap();
        assert!(!limit.is_used_up());
        assert!(limit.note(b"Found").is_err());
        assert!(limit.is_used_up());
        assert_eq!(limit.status(), Some(StatusCode::NOT_FOUND));
        limit.begin(20);
        assert_eq!(limit.status(), None, "that of the answer before");
    }
}
