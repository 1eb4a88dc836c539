//! What a consumer's JSON parser refuses beside what is wrong in form.

use memchr::{memchr2_iter, memmem};

use super::{MAX_NESTING, MessageError};

/// How many hexadecimal digits an escape has, such as `\ud83d`.
const DIGITS: usize = 4;

/// Checks the nesting, and that escapes stand for characters, in a text that may not even be JSON.
///
/// # Errors
/// [`MessageError::TooDeep`] and [`MessageError::LoneSurrogate`].
pub(super) fn check(json: &str) -> Result<(), MessageError> {
    let bytes = json.as_bytes();
    // Most texts have so few brackets, and no such escape, that there is nothing to look at more closely.
    let is_flat = memchr2_iter(b'[', b'{', bytes).nth(MAX_NESTING).is_none();
    if is_flat && memmem::find(bytes, br"\u").is_none() {
        return Ok(());
    }
    let (mut depth, mut is_in_string, mut at) = (0_usize, false, 0);
    while let Some(byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'"' => is_in_string = !is_in_string,
            b'\\' if is_in_string => at = escape(bytes, at)?,
            b'[' | b'{' if !is_in_string => depth += 1,
            b']' | b'}' if !is_in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_NESTING {
            return Err(MessageError::TooDeep);
        }
    }
    Ok(())
}

/// Where the escape whose backslash is before `at` ends. A character beyond U+FFFF is a pair of escapes, the
/// first from D800 to DBFF, the second from DC00 to DFFF (RFC 8259, section 7).
fn escape(bytes: &[u8], at: usize) -> Result<usize, MessageError> {
    let Some(unit) = unit(&bytes[at..]) else {
        return Ok(at + 1);
    };
    let end = at + 1 + DIGITS;
    let lone = MessageError::LoneSurrogate { at, unit };
    match unit {
        0xd800..0xdc00 => match bytes[end..].strip_prefix(br"\").and_then(self::unit) {
            Some(0xdc00..0xe000) => Ok(end + 2 + DIGITS),
            _ => Err(lone),
        },
        0xdc00..0xe000 => Err(lone),
        _ => Ok(end),
    }
}

/// The number of an escape `uXXXX`, if it is one.
fn unit(escape: &[u8]) -> Option<u16> {
    let digits = escape.strip_prefix(b"u")?.get(..DIGITS)?;
    u16::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
}
