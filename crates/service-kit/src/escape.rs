//! Text of strangers, made fit for terminals and log readers.
//!
//! A control character can move the cursor, change colours or begin a line that looks like another's; a character that
//! turns the direction of text shows something else than is there. Such characters are written as escapes.

use std::fmt::{self, Write};

/// Whether a character must not reach a terminal: control characters (C0, DEL, C1), line separators, and what changes
/// the direction of text (UAX #9).
fn is_harmful(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Passes text on to a writer, with Rust's escapes (`\n`, `\u{1b}`) in place of harmful characters.
///
/// ```
/// # use std::fmt::Write;
/// # use service_kit::escape::Escaping;
/// let mut shown = String::new();
/// write!(Escaping(&mut shown), "é\x1b[2J\n").unwrap();
/// assert_eq!(shown, r"é\u{1b}[2J\n");
/// ```
#[derive(Debug)]
pub struct Escaping<'w, W>(pub &'w mut W);

impl<W: Write> Write for Escaping<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        write_parts(self.0, text, |writer, harmful| {
            write!(writer, "{}", harmful.escape_debug())
        })
    }
}

/// Text with Rust's escapes in place of harmful characters.
#[must_use]
pub fn escaped(text: String) -> String {
    if !text.contains(is_harmful) {
        return text;
    }
    let mut shown = String::with_capacity(text.len());
    // Writing to a text does not fail.
    let _written = Escaping(&mut shown).write_str(&text);
    shown
}

/// JSON with JSON's escapes in place of harmful characters, which stand in its strings only; it means the same.
pub(crate) fn write_json(writer: &mut impl Write, json: &str) -> fmt::Result {
    write_parts(writer, json, |writer, harmful| {
        write!(writer, "\\u{:04x}", u32::from(harmful))
    })
}

fn write_parts<W: Write>(
    writer: &mut W,
    text: &str,
    write_harmful: impl Fn(&mut W, char) -> fmt::Result,
) -> fmt::Result {
    for part in text.split_inclusive(is_harmful) {
        match part.char_indices().next_back() {
            Some((at, last)) if is_harmful(last) => {
                writer.write_str(&part[..at])?;
                write_harmful(writer, last)?;
            }
            Some(_) | None => writer.write_str(part)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(text: &str) -> String {
        super::escaped(text.to_owned())
    }

    #[test]
    fn what_would_move_the_cursor_or_mislead_is_shown_and_the_rest_left_alone() {
        assert_eq!(escaped("a\x1b[2J\r\nb\u{9b}1m"), r"a\u{1b}[2J\r\nb\u{9b}1m");
        assert_eq!(
            escaped("\u{202e}\u{2066}\u{200f}\u{2028}"),
            r"\u{202e}\u{2066}\u{200f}\u{2028}"
        );
        let harmless = r#"{"a":'é 日本 👩‍🔬'} \n"#;
        assert_eq!(escaped(harmless), harmless);
    }

    #[test]
    fn json_means_the_same_with_escapes() {
        let value = serde_json::json!({ "a\u{202e}": "\u{9b}é\n\u{7f}\u{2029}" });
        let mut shown = String::new();
        write_json(&mut shown, &value.to_string()).unwrap();
        assert_eq!(shown, "{\"a\\u202e\":\"\\u009bé\\n\\u007f\\u2029\"}");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&shown).unwrap(),
            value
        );
    }
}
