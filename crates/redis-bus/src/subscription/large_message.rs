//! A payload that is too large for a message, on its way past.

use bytes::{Buf, BytesMut};
use protocol::dead_letter::Excerpt;

use crate::resp::Unexpected;

/// What ends a bulk string.
const END: &[u8] = b"\r\n";

/// A payload of which only an excerpt is kept.
#[derive(Debug)]
pub(super) struct LargeMessage {
    excerpt: Excerpt,
    /// How many bytes of it are yet to come.
    left: usize,
}

impl LargeMessage {
    /// One of so many bytes, of which none has been read.
    pub(super) fn announced(bytes: usize) -> Self {
        Self {
            excerpt: Excerpt::default(),
            left: bytes,
        }
    }

    /// Reads past what is in the buffer; says whether that was the last of it.
    pub(super) fn skip(&mut self, buffer: &mut BytesMut) -> Result<bool, Unexpected> {
        let piece = self.left.min(buffer.len());
        self.excerpt.read(&buffer[..piece]);
        self.left -= piece;
        buffer.advance(piece);
        match buffer.get(..END.len()) {
            _ if self.left > 0 => Ok(false),
            None => Ok(false),
            Some(END) => {
                buffer.advance(END.len());
                Ok(true)
            }
            Some(_) => Err(Unexpected),
        }
    }

    /// What is kept of it.
    pub(super) fn into_excerpt(self) -> Excerpt {
        self.excerpt
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_read_past_however_it_comes_and_what_follows_is_left() {
        let payload = b"0123456789".repeat(300);
        let all = [&payload[..], END, b"+PONG\r\n"].concat();
        for piece in [1, 2, 2999, 3000, 3001, 3002, all.len()] {
            let mut large = LargeMessage::announced(payload.len());
            let mut buffer = BytesMut::new();
            let mut pieces = all.chunks(piece);
            while !large.skip(&mut buffer).unwrap() {
                buffer.extend_from_slice(pieces.next().unwrap());
            }
            buffer.extend(pieces.flatten());
            assert_eq!(buffer, &b"+PONG\r\n"[..], "{piece}");
            assert_eq!(large.into_excerpt(), Excerpt::of(&payload), "{piece}");
        }
    }

    #[test]
    fn a_payload_that_does_not_end_as_announced_is_refused() {
        let mut large = LargeMessage::announced(2);
        let mut buffer = BytesMut::from(&b"abcd"[..]);
        assert_eq!(large.skip(&mut buffer), Err(Unexpected));
    }
}
