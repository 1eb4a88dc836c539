//! A processed message: the entry of the stream `messages:processed`.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashSet},
    time::SystemTime,
};

use crate::{ConsumerId, Fields, Message, message::MESSAGE_ID};

/// The field that says which consumer processed a message.
pub const CONSUMER_ID: &str = "consumer_id";

/// The field that says when, as RFC 3339 in UTC with milliseconds.
pub const PROCESSED_AT: &str = "processed_at";

/// The names that are ours.
const OWN: [&str; 3] = [MESSAGE_ID, CONSUMER_ID, PROCESSED_AT];

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
    pub fn fields(&self) -> serde_json::Result<Fields> {
        let properties = self.message.properties()?;
        let count = OWN.len() + properties.len() + self.additions.len();
        // A guess that is seldom too small: values are decoded, which makes them shorter.
        let added: usize = self.additions.iter().map(|(n, v)| n.len() + v.len()).sum();
        let bytes = self.message.body().len() + added + 128;
        let mut fields = Fields::with_capacity(count, bytes);
        fields.push(MESSAGE_ID, self.message.id().as_str());
        fields.push(CONSUMER_ID, self.consumer_id.as_str());
        let at = humantime::format_rfc3339_millis(self.processed_at);
        fields.push_shown(PROCESSED_AT, at);
        if self.is_any_name_given_twice(&properties) {
            self.push_renamed(&properties, &mut fields);
        } else {
            for (name, value) in &properties {
                fields.push(name, value);
            }
            for (name, value) in &self.additions {
                fields.push(name, value);
            }
        }
        Ok(fields)
    }

    /// Whether a name of ours is an addition's, or either is a property's.
    fn is_any_name_given_twice(&self, properties: &[(Cow<'_, str>, Cow<'_, str>)]) -> bool {
        let mut names = properties.iter().map(|(name, _)| &**name);
        OWN.iter().any(|own| self.additions.contains_key(*own))
            || names.any(|name| OWN.contains(&name) || self.additions.contains_key(name))
    }

    /// Adds properties and additions, each under a name that is free.
    fn push_renamed(&self, properties: &[(Cow<'_, str>, Cow<'_, str>)], fields: &mut Fields) {
        let mut taken = HashSet::from(OWN.map(Cow::Borrowed));
        let additions: Vec<_> = self
            .additions
            .iter()
            .map(|(name, value)| (claim(&mut taken, name, "processor."), value))
            .collect();
        for (name, value) in properties {
            fields.push(&claim(&mut taken, name, "message."), value);
        }
        for (name, value) in additions {
            fields.push(&name, value);
        }
    }
}

/// Takes `name`, or the first of `prefix + name`, `prefix + prefix + name`, … that is free.
fn claim<'a>(taken: &mut HashSet<Cow<'a, str>>, name: &'a str, prefix: &str) -> Cow<'a, str> {
    let mut free = Cow::Borrowed(name);
    while !taken.insert(free.clone()) {
        free.to_mut().insert_str(0, prefix);
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
        let fields = processed.fields().unwrap();
        let texts: Vec<_> = fields.texts().map(str::to_owned).collect();
        let pairs = texts.chunks_exact(2);
        pairs
            .map(|pair| (pair[0].clone(), pair[1].clone()))
            .collect()
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
