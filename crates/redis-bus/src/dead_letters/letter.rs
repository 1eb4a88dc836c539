//! A dead letter as it stands in the stream.

use bytes::Bytes;
use protocol::{Message, dead_letter::field, message::MESSAGE_ID};

use super::pages::Entry;

/// A dead letter as it stands in the stream.
#[derive(Debug, Clone)]
pub struct StoredLetter {
    /// Its id in the stream, such as `1700000000123-0`.
    pub entry: String,
    /// Its fields, in order.
    pub fields: Vec<(String, Bytes)>,
}

impl StoredLetter {
    /// The value of a field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Bytes> {
        let found = self.fields.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value)
    }

    /// The value of a field as text; what is no text is shown as U+FFFD. Empty without such a field.
    #[must_use]
    pub fn text(&self, name: &str) -> String {
        let value = self.field(name).map(|value| String::from_utf8_lossy(value));
        value.unwrap_or_default().into_owned()
    }

    /// The message, if what was given up on was one and all of it is here. The start that is kept of
    /// what was none may look like one.
    #[must_use]
    pub fn message(&self) -> Option<Message> {
        let id = self.field(MESSAGE_ID)?;
        let message = Message::parse(self.field(field::PAYLOAD)?.clone()).ok()?;
        let is_whole = self.text(field::PAYLOAD_BYTES) == message.body().len().to_string();
        (is_whole && message.id().as_str().as_bytes() == id).then_some(message)
    }
}

impl From<Entry> for StoredLetter {
    fn from((entry, fields): Entry) -> Self {
        let fields = fields.into_iter();
        Self {
            entry,
            fields: fields
                .map(|(name, value)| (name, Bytes::from(value)))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::{DeadLetter, DeadLetterReason, dead_letter::Excerpt};

    use super::*;

    fn stored(letter: &DeadLetter) -> StoredLetter {
        let fields = letter.fields().into_iter();
        StoredLetter {
            entry: "1-0".to_owned(),
            fields: fields
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        }
    }

    #[test]
    fn the_message_of_a_letter_is_the_one_that_was_given_up() {
        let body = Bytes::from_static(br#"{"message_id":"a","n":1}"#);
        let message = Message::parse(body.clone()).unwrap();
        let letter = stored(&DeadLetter::new(
            &message,
            DeadLetterReason::Rejected,
            1,
            "",
        ));
        assert_eq!(letter.message().unwrap().body(), &body);
        assert_eq!(letter.text("message_id"), "a");
    }

    #[test]
    fn the_start_of_what_is_no_message_is_none_though_it_may_look_like_one() {
        let mut payload = br#"{"message_id":"a"}"#.to_vec();
        payload.resize(2000, b' ');
        payload.extend(b"no JSON");
        let payload = Bytes::from(payload);
        let error = Message::parse(payload.clone()).unwrap_err();
        let letter = stored(&DeadLetter::malformed(Excerpt::of(&payload), &error));
        let start = letter.field(field::PAYLOAD).unwrap().clone();
        assert!(Message::parse(start).is_ok());
        assert!(letter.message().is_none());
    }
}
