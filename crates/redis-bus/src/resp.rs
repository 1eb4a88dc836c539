//! The part of RESP2 that a subscribed connection hears.
//!
//! Source: <https://redis.io/docs/latest/develop/reference/protocol-spec/>. A subscriber is told arrays of
//! bulk strings and integers, simple strings and errors; nothing nested.

use memchr::memchr;
use protocol::message::MAX_MESSAGE_BYTES;

/// The most items of an array that are looked at; a Pub/Sub message has three.
const MAX_ITEMS: usize = 4;

/// A reply, borrowed from the read buffer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reply<'a> {
    /// `+OK`
    Simple(&'a [u8]),
    /// `-ERR …`
    Error(&'a [u8]),
    /// `*n`: bulk strings as they are, null as empty, integers as their digits.
    Array(Items<'a>),
    /// The start of a message whose payload, so many bytes, is larger than a message may be. The payload
    /// comes next, and the end of its line.
    LargeMessage(usize),
}

/// The items of an array.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Items<'a> {
    items: [&'a [u8]; MAX_ITEMS],
    len: usize,
}

impl<'a> Items<'a> {
    pub(crate) fn as_slice(&self) -> &[&'a [u8]] {
        &self.items[..self.len]
    }
}

/// Bytes that are not RESP2, or not what a subscriber is told.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("unexpected answer from Redis")]
pub(crate) struct Unexpected;

/// The first reply in `buffer` and its length; `None` while it is not complete. A message that is too large
/// is told as soon as its length is there.
pub(crate) fn parse(buffer: &[u8]) -> Result<Option<(Reply<'_>, usize)>, Unexpected> {
    let Some((line, mut at)) = line(buffer, 0)? else {
        return Ok(None);
    };
    let (kind, rest) = line.split_first().ok_or(Unexpected)?;
    match kind {
        b'+' => return Ok(Some((Reply::Simple(rest), at))),
        b'-' => return Ok(Some((Reply::Error(rest), at))),
        b'*' => {}
        _ => return Err(Unexpected),
    }
    let len = number(rest)?
        .filter(|len| *len <= MAX_ITEMS)
        .ok_or(Unexpected)?;
    let mut items: [&[u8]; MAX_ITEMS] = [&[]; MAX_ITEMS];
    for place in 0..len {
        if place == 2
            && items[0] == b"message"
            && let Some((bytes, start)) = announced(buffer, at)?
            && bytes > MAX_MESSAGE_BYTES
        {
            return Ok(Some((Reply::LargeMessage(bytes), start)));
        }
        let Some((found, next)) = parse_item(buffer, at)? else {
            return Ok(None);
        };
        items[place] = found;
        at = next;
    }
    Ok(Some((Reply::Array(Items { items, len }), at)))
}

/// The bulk string or integer at `from`, and where it ends.
fn parse_item(buffer: &[u8], from: usize) -> Result<Option<(&[u8], usize)>, Unexpected> {
    let Some((line, start)) = line(buffer, from)? else {
        return Ok(None);
    };
    match line.split_first() {
        Some((b':', digits)) => Ok(Some((digits, start))),
        Some((b'$', digits)) => {
            let Some(len) = number(digits)? else {
                return Ok(Some((&[], start)));
            };
            let end = start.checked_add(len).ok_or(Unexpected)?;
            match buffer.get(end..end.saturating_add(2)) {
                Some(b"\r\n") => Ok(Some((&buffer[start..end], end + 2))),
                Some(_) => Err(Unexpected),
                None => Ok(None),
            }
        }
        _ => Err(Unexpected),
    }
}

/// The length of the bulk string at `from`, and where it starts.
fn announced(buffer: &[u8], from: usize) -> Result<Option<(usize, usize)>, Unexpected> {
    let Some((line, start)) = line(buffer, from)? else {
        return Ok(None);
    };
    match line.split_first() {
        Some((b'$', digits)) => Ok(number(digits)?.map(|bytes| (bytes, start))),
        _ => Ok(None),
    }
}

/// The line at `from` without its end, and where the next one starts.
fn line(buffer: &[u8], from: usize) -> Result<Option<(&[u8], usize)>, Unexpected> {
    let rest = &buffer[from..];
    let Some(at) = memchr(b'\r', rest) else {
        return Ok(None);
    };
    match rest.get(at + 1) {
        Some(b'\n') => Ok(Some((&rest[..at], from + at + 2))),
        Some(_) => Err(Unexpected),
        None => Ok(None),
    }
}

/// A length; `None` for the -1 of a null.
fn number(digits: &[u8]) -> Result<Option<usize>, Unexpected> {
    if digits == b"-1" {
        return Ok(None);
    }
    let text = std::str::from_utf8(digits).or(Err(Unexpected))?;
    text.parse().map(Some).or(Err(Unexpected))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &[u8] = b"*3\r\n$7\r\nmessage\r\n$2\r\nch\r\n$5\r\na\r\nb!\r\n";

    fn items(bytes: &[u8]) -> Vec<Vec<u8>> {
        match parse(bytes).unwrap().unwrap() {
            (Reply::Array(items), _) => items.as_slice().iter().map(|item| item.to_vec()).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_message_is_read_whole_or_not_at_all() {
        for end in 0..MESSAGE.len() {
            assert_eq!(parse(&MESSAGE[..end]), Ok(None), "{end}");
        }
        let two = [MESSAGE, b"+OK\r\n"].concat();
        assert_eq!(parse(&two).unwrap().unwrap().1, MESSAGE.len());
        assert_eq!(items(&two), [&b"message"[..], b"ch", b"a\r\nb!"]);
    }

    #[test]
    fn a_message_that_is_too_large_is_told_once_its_length_is_there() {
        let start = format!(
            "*3\r\n$7\r\nmessage\r\n$2\r\nch\r\n${}\r\n",
            MAX_MESSAGE_BYTES + 1
        );
        let whole = Some((Reply::LargeMessage(MAX_MESSAGE_BYTES + 1), start.len()));
        for end in 0..start.len() {
            assert_eq!(parse(&start.as_bytes()[..end]), Ok(None), "{end}");
        }
        assert_eq!(parse(start.as_bytes()), Ok(whole));
        let just = start.replace(
            &(MAX_MESSAGE_BYTES + 1).to_string(),
            &MAX_MESSAGE_BYTES.to_string(),
        );
        assert_eq!(parse(just.as_bytes()), Ok(None));
    }

    #[test]
    fn the_other_replies_of_a_subscriber_are_read() {
        assert_eq!(parse(b"+PONG\r\n"), Ok(Some((Reply::Simple(b"PONG"), 7))));
        assert_eq!(
            parse(b"-ERR no\r\n"),
            Ok(Some((Reply::Error(b"ERR no"), 9)))
        );
        assert_eq!(
            items(b"*3\r\n$9\r\nsubscribe\r\n$2\r\nch\r\n:1\r\n")[2],
            b"1"
        );
        assert_eq!(items(b"*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n")[1], b"");
    }

    #[test]
    fn anything_else_is_refused_and_never_panics() {
        for wrong in [
            &b"?\r\n"[..],
            b"\r\n",
            b"+a\rb\n",
            b"*9\r\n",
            b"*-1\r\n",
            b"*x\r\n",
            b"*1\r\n+a\r\n",
            b"*1\r\n$1\r\nabc\r\n",
            b"*1\r\n$-2\r\n",
            b"*1\r\n$99999999999999999999\r\n",
            b"*1\r\n$18446744073709551615\r\nx\r\n",
        ] {
            assert_eq!(parse(wrong), Err(Unexpected), "{wrong:?}");
        }
    }
}
