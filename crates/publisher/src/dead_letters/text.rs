//! What strangers wrote, made fit for a terminal.

use std::fmt::Write;

use protocol::message::MESSAGE_ID;
use redis_bus::dead_letters::StoredLetter;

/// Text whose control characters, and others that do not show, are written as escapes.
pub(super) fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    // Quotes show well as they are.
    for part in text.split_inclusive(['"', '\'']) {
        let body = part.trim_end_matches(['"', '\'']);
        shown.extend(body.escape_debug());
        shown.push_str(&part[body.len()..]);
    }
    shown
}

/// The same of bytes; those that are no UTF-8 are written as `\xff`.
pub(super) fn escaped_bytes(bytes: &[u8]) -> String {
    let mut shown = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        shown.push_str(&escaped(chunk.valid()));
        for byte in chunk.invalid() {
            // Writing to a text does not fail.
            let _written = write!(shown, "\\x{byte:02x}");
        }
    }
    shown
}

/// The start of a text, at most so many characters long.
pub(super) fn cut(text: &str, characters: usize) -> String {
    if text.chars().count() <= characters {
        return text.to_owned();
    }
    let start = text.chars().take(characters.saturating_sub(1));
    start.chain(['…']).collect()
}

/// A letter as it is named to people: its entry, and the id of its message where it has one.
pub(super) fn name(letter: &StoredLetter) -> String {
    match letter.field(MESSAGE_ID) {
        Some(id) => format!("{} ({})", letter.entry, escaped_bytes(id)),
        None => letter.entry.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_move_the_cursor_or_hide_is_shown_and_the_rest_left_alone() {
        assert_eq!(escaped("a\x1b[2J\r\n\u{202e}b"), r"a\u{1b}[2J\r\n\u{202e}b");
        assert_eq!(escaped(r#"{"a":'é 日本'}"#), r#"{"a":'é 日本'}"#);
        assert_eq!(escaped(r"\n"), r"\\n");
        assert_eq!(escaped_bytes(b"\xff\x00ok"), r"\xff\0ok");
    }

    #[test]
    fn a_long_text_is_cut_and_says_so() {
        assert_eq!(cut("äbc", 3), "äbc");
        assert_eq!(cut("äbcd", 3), "äb…");
    }
}
