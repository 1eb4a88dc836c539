//! The protocol of Redis, RESP2, as far as these clients use it.
//!
//! Source: <https://redis.io/docs/latest/develop/reference/protocol-spec/>.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    ops::Range,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use memchr::memchr;

/// How long Redis may stay silent; longer than any pause of a measurement.
const TIMEOUT: Duration = Duration::from_secs(120);

/// How much is read at once at first; the buffer grows when a reply is larger.
const BUFFER: usize = 256 * 1024;

/// A connection to the Redis on this port of 127.0.0.1.
pub(crate) fn connect(port: u16) -> Result<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port))
        .with_context(|| format!("cannot connect to Redis on port {port}"))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    Ok(stream)
}

/// Appends a command.
pub(crate) fn command(out: &mut Vec<u8>, parts: &[&[u8]]) {
    head(out, b'*', parts.len());
    for part in parts {
        head(out, b'$', part.len());
        out.extend_from_slice(part);
        out.extend_from_slice(b"\r\n");
    }
}

/// Appends `*3\r\n` or the like; quicker than the formatting of the standard library.
fn head(out: &mut Vec<u8>, kind: u8, number: usize) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = number;
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.push(kind);
    out.extend_from_slice(&digits[at..]);
    out.extend_from_slice(b"\r\n");
}

/// One token of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    /// An array of so many replies, which follow.
    Array(usize),
    /// A bulk string, a simple string, or an integer's digits.
    Text(&'a [u8]),
    /// No array, or no bulk string.
    Null,
    /// What Redis refuses, and why.
    Error(&'a [u8]),
}

/// The token at the start of `bytes` and its length; `None` while it is not complete.
fn token(bytes: &[u8]) -> Result<Option<(Token<'_>, usize)>> {
    let Some(end) = memchr(b'\n', bytes) else {
        return Ok(None);
    };
    let (line, start) = (&bytes[..end.saturating_sub(1)], end + 1);
    let (kind, rest) = line.split_first().context("an empty line from Redis")?;
    let number = || -> Result<Option<usize>> {
        match rest {
            b"-1" => Ok(None),
            digits => Ok(Some(std::str::from_utf8(digits)?.parse()?)),
        }
    };
    Ok(match kind {
        b'+' | b':' => Some((Token::Text(rest), start)),
        b'-' => Some((Token::Error(rest), start)),
        b'*' => Some((number()?.map_or(Token::Null, Token::Array), start)),
        b'$' => match number()? {
            None => Some((Token::Null, start)),
            Some(len) => bytes
                .get(start..start + len)
                .filter(|_| bytes.len() >= start + len + 2)
                .map(|text| (Token::Text(text), start + len + 2)),
        },
        other => bail!("a reply of Redis starts with {:?}", char::from(*other)),
    })
}

/// The tokens of a whole reply.
#[derive(Debug)]
pub(crate) struct Tokens<'a>(&'a [u8]);

impl<'a> Tokens<'a> {
    /// The next token, whatever it is.
    pub(crate) fn any(&mut self) -> Result<Token<'a>> {
        let (token, len) = token(self.0)?.context("a reply of Redis ends too early")?;
        self.0 = &self.0[len..];
        Ok(token)
    }

    /// The next token, which is a text.
    pub(crate) fn text(&mut self) -> Result<&'a [u8]> {
        match self.any()? {
            Token::Text(text) => Ok(text),
            other => bail!("Redis answered {other:?} in place of a text"),
        }
    }

    /// The next token, which is an array; 0 where it is null.
    pub(crate) fn array(&mut self) -> Result<usize> {
        match self.any()? {
            Token::Array(len) => Ok(len),
            Token::Null => Ok(0),
            other => bail!("Redis answered {other:?} in place of an array"),
        }
    }
}

/// What Redis sends, one whole reply after the other.
#[derive(Debug)]
pub(crate) struct Replies {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// What has been read and not yet returned.
    unread: Range<usize>,
    /// How far into that the reply has been looked at, and how many tokens it still lacks.
    looked_at: usize,
    lacking: usize,
}

impl Replies {
    /// What comes over this connection.
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            buffer: vec![0; BUFFER],
            unread: 0..0,
            looked_at: 0,
            lacking: 1,
        }
    }

    /// The next reply, read from the connection if it has not come yet.
    pub(crate) fn next(&mut self) -> Result<Tokens<'_>> {
        let reply = loop {
            if let Some(reply) = self.whole()? {
                break reply;
            }
            self.read()?;
        };
        Ok(Tokens(&self.buffer[reply]))
    }

    /// The next reply, if all of it has been read already.
    pub(crate) fn next_read(&mut self) -> Result<Option<Tokens<'_>>> {
        let reply = self.whole()?;
        Ok(reply.map(|reply| Tokens(&self.buffer[reply])))
    }

    /// Reads so many bytes, whatever they are.
    pub(crate) fn discard(&mut self, bytes: usize) -> Result<()> {
        let mut left = bytes.saturating_sub(self.unread.len());
        self.unread = 0..0;
        while left > 0 {
            self.read()?;
            left = left.saturating_sub(self.unread.len());
            self.unread = 0..0;
        }
        Ok(())
    }

    /// Reads what is there; waits until there is something.
    pub(crate) fn read(&mut self) -> Result<()> {
        if self.unread.is_empty() {
            self.unread = 0..0;
        } else if self.unread.end == self.buffer.len() {
            self.buffer.copy_within(self.unread.clone(), 0);
            self.unread = 0..self.unread.len();
            if self.unread.end == self.buffer.len() {
                self.buffer.resize(2 * self.buffer.len(), 0);
            }
        }
        loop {
            match self.stream.read(&mut self.buffer[self.unread.end..]) {
                Ok(0) => bail!("Redis closed the connection"),
                Ok(bytes) => {
                    self.unread.end += bytes;
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("cannot read from Redis"),
            }
        }
    }

    /// Where the next reply is, once all of it is there.
    fn whole(&mut self) -> Result<Option<Range<usize>>> {
        let mut refusal = None;
        while self.lacking > 0 {
            let rest = &self.buffer[self.unread.start + self.looked_at..self.unread.end];
            let Some((token, len)) = token(rest)? else {
                return Ok(None);
            };
            match token {
                Token::Array(len) => self.lacking += len,
                Token::Error(text) => refusal = Some(String::from_utf8_lossy(text).into_owned()),
                Token::Text(_) | Token::Null => {}
            }
            self.lacking -= 1;
            self.looked_at += len;
        }
        let reply = self.unread.start..self.unread.start + self.looked_at;
        self.unread.start = reply.end;
        (self.looked_at, self.lacking) = (0, 1);
        if let Some(refusal) = refusal {
            bail!("Redis refuses: {refusal}");
        }
        Ok(Some(reply))
    }
}

/// Subscribes to a channel; what comes afterwards are its messages.
pub(crate) fn subscribe(port: u16, channel: &str) -> Result<Replies> {
    let mut stream = connect(port)?;
    let mut bytes = Vec::new();
    command(&mut bytes, &[b"SUBSCRIBE", channel.as_bytes()]);
    stream.write_all(&bytes)?;
    let mut messages = Replies::new(stream);
    let mut confirmed = messages.next()?;
    ensure!(confirmed.array()? == 3 && confirmed.text()? == b"subscribe");
    Ok(messages)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn commands_are_arrays_of_bulk_strings() {
        let mut out = Vec::new();
        command(&mut out, &[b"PUBLISH", b"", b"0123456789"]);
        assert_eq!(
            out,
            b"*3\r\n$7\r\nPUBLISH\r\n$0\r\n\r\n$10\r\n0123456789\r\n"
        );
    }

    #[test]
    fn replies_are_whole_however_they_come_in() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let mut replies = Replies::new(connect(listener.local_addr().unwrap().port()).unwrap());
        let (mut server, _) = listener.accept().unwrap();
        let large = "x".repeat(2 * BUFFER);
        let text = format!(
            "*2\r\n$1\r\na\r\n*1\r\n:7\r\n-NO such\r\n*-1\r\n${}\r\n{large}\r\n+OK\r\n",
            large.len()
        );
        let (start, rest) = text.as_bytes().split_at(11);
        server.write_all(start).unwrap();
        replies.read().unwrap();
        assert!(replies.next_read().unwrap().is_none());
        let writer = std::thread::spawn({
            let rest = rest.to_vec();
            move || server.write_all(&rest).unwrap()
        });
        let mut reply = replies.next().unwrap();
        assert_eq!(
            (reply.array().unwrap(), reply.text().unwrap()),
            (2, &b"a"[..])
        );
        assert_eq!(
            (reply.array().unwrap(), reply.text().unwrap()),
            (1, &b"7"[..])
        );
        let refused = replies.next().unwrap_err().to_string();
        assert!(refused.contains("NO such"), "{refused}");
        assert_eq!(replies.next().unwrap().array().unwrap(), 0);
        assert_eq!(replies.next().unwrap().text().unwrap(), large.as_bytes());
        assert_eq!(replies.next().unwrap().any().unwrap(), Token::Text(b"OK"));
        writer.join().unwrap();
        assert!(replies.next().is_err(), "the connection has ended");
    }
}
