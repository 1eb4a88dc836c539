//! A processed message: the entry of the stream `messages:processed`.

use std::{
    collections::{BTreeMap, HashSet},
    time::SystemTime,
};

use crate::{ConsumerId, Message, message::MESSAGE_ID};

/// The field that says which consumer processed a message.
pub const CONSUMER_ID: &str = "consumer_id";

/// The field that says when, as RFC 3339 in UTC with milliseconds.
pub const PROCESSED_AT: &str = "processed_at";

/// What a processor adds to a message: names and values, any of them.
pub type Additions = BTreeMap<String, String>;

/// A message with what its processing added, by whom and when.
#[derive(Debug, Clone)]
pub struct ProcessedMessage {
    /// The message as it was published.
    pub message: Message,
    /// What the processor added.
    pub additions: Additions,
    /// Who processed it.
    pub consumer_id: ConsumerId,
    /// When the processing ended.
    pub processed_at: SystemTime,
}

impl ProcessedMessage {
    /// The flat entry: `message_id`, `consumer_id`, `processed_at`, the message's properties, the
    /// processor's additions.
    ///
    /// Nothing overwrites anything. An addition with one of the three first names is stored as
    /// `processor.<name>`, a property with a name of ours or of an addition as `message.<name>`; the
    /// prefix is repeated while the result is taken, too.
    ///
    /// # Errors
    /// As [`Message::properties`].
    pub fn fields(&self) -> serde_json::Result<Vec<(String, String)>> {
        let at = humantime::format_rfc3339_millis(self.processed_at).to_string();
        let mut fields = vec![
            (MESSAGE_ID.to_owned(), self.message.id().to_string()),
            (CONSUMER_ID.to_owned(), self.consumer_id.to_string()),
            (PROCESSED_AT.to_owned(), at),
        ];
        let mut taken: HashSet<String> = fields.iter().map(|(name, _)| name.clone()).collect();
        let additions: Vec<_> = self
            .additions
            .iter()
            .map(|(name, value)| (claim(&mut taken, name, "processor."), value.clone()))
            .collect();
        for (name, value) in self.message.properties()? {
            fields.push((claim(&mut taken, &name, "message."), value));
        }
        fields.extend(additions);
        Ok(fields)
    }
}

/// Takes `name`, or the first of `prefix + name`, `prefix + prefix + name`, … that is free.
fn claim(taken: &mut HashSet<String>, name: &str, prefix: &str) -> String {
    let mut free = name.to_owned();
    while !taken.insert(free.clone()) {
        free.insert_str(0, prefix);
    }
    free
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use bytes::Bytes;

    use super::*;

    fn fields(message: &'static str, additions: &[(&str, &str)]) -> Vec<(String, String)> {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let processed = ProcessedMessage {
            message: Message::parse(Bytes::from_static(message.as_bytes())).unwrap(),
            additions: additions.iter().map(own).collect(),
            consumer_id: "127.0.0.1:5001".parse().unwrap(),
            processed_at: UNIX_EPOCH + Duration::from_millis(1_700_000_000_123),
        };
        processed.fields().unwrap()
    }

    #[test]
    fn an_entry_is_flat_and_in_order() {
        let expected = [
            ("message_id", "m"),
            ("consumer_id", "127.0.0.1:5001"),
            ("processed_at", "2023-11-14T22:13:20.123Z"),
            ("text", "hello"),
            ("n", "7"),
            ("added", "x"),
        ];
        let entry = fields(
            r#"{"text":"hello","message_id":"m","n":7}"#,
            &[("added", "x")],
        );
        assert_eq!(entry, expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
    }

    #[test]
    fn no_name_is_given_twice_and_nothing_is_lost() {
        let message = r#"{"message_id":"m","consumer_id":"a","message.consumer_id":"b","x":"c"}"#;
        let entry = fields(message, &[("x", "d"), ("message_id", "e")]);
        let find = |name: &str| {
            let found: Vec<_> = entry
                .iter()
                .filter(|(n, _)| n == name)
                .map(|(_, v)| v.as_str())
                .collect();
            found.join("+")
        };
        assert_eq!(find("message_id"), "m");
        assert_eq!(find("consumer_id"), "127.0.0.1:5001");
        assert_eq!(find("message.consumer_id"), "a");
        assert_eq!(find("message.message.consumer_id"), "b");
        assert_eq!(find("message.x"), "c");
        assert_eq!(find("x"), "d");
        assert_eq!(find("processor.message_id"), "e");
        assert_eq!(entry.len(), 8);
    }
}
