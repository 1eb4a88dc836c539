//! A processed message: the entry of the stream `messages:processed`.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashSet},
    time::SystemTime,
};

use serde_json::value::RawValue;

use crate::{
    ConsumerId, Fields, Message,
    message::{MESSAGE_ID, properties_of},
};

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
        let at = self.processed_at;
        let id = self.message.id().as_str();
        push_own(&mut fields, id, self.consumer_id.as_str(), at);
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

/// What a consumer has the group record: the fields of an entry but the first three.
///
/// A field with the name `consumer_id` or `processed_at` is called `processor.<name>`, as in
/// [`ProcessedMessage::fields`]; `message_id` is left out, because it stands there already.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnsweredEntry(Fields);

impl AnsweredEntry {
    /// From a JSON object: a text is the value of its field as it is, anything else as JSON. Of a name that is given
    /// twice the last value counts.
    ///
    /// # Errors
    /// When it is no object, or has a text that is no Unicode.
    pub fn from_json(json: &RawValue) -> serde_json::Result<Self> {
        let given = properties_of(json.get())?;
        let bytes = json.get().len();
        let mut fields = Fields::with_capacity(given.len(), bytes);
        if given.iter().any(|(name, _)| OWN.contains(&&**name)) {
            let mut taken = HashSet::from(OWN.map(Cow::Borrowed));
            taken.extend(given.iter().map(|(name, _)| name.clone()));
            for (name, value) in &given {
                match OWN.contains(&&**name) {
                    true => fields.push(&claim(&mut taken, name, "processor."), value),
                    false => fields.push(name, value),
                }
            }
        } else {
            for (name, value) in &given {
                fields.push(name, value);
            }
        }
        Ok(Self(fields))
    }

    /// How many fields the whole entry has.
    #[must_use]
    pub fn len_in_all(&self) -> usize {
        OWN.len() + self.0.len()
    }

    /// The whole entry.
    #[must_use]
    pub fn fields(&self, id: &str, consumer_id: &str, at: SystemTime) -> Fields {
        let bytes = self.0.bytes() + 128;
        let mut fields = Fields::with_capacity(self.len_in_all(), bytes);
        push_own(&mut fields, id, consumer_id, at);
        fields.append(&self.0);
        fields
    }
}

/// Adds the fields every entry begins with.
fn push_own(fields: &mut Fields, id: &str, consumer_id: &str, at: SystemTime) {
    fields.push(MESSAGE_ID, id);
    fields.push(CONSUMER_ID, consumer_id);
    fields.push_shown(PROCESSED_AT, humantime::format_rfc3339_millis(at));
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
    fn an_answered_entry_is_what_was_answered_after_our_own() {
        let answered = r#"{"total":28.5,"message_id":"other","text":"\u00fc","consumer_id":"b","list":[1, 2],"total":3}"#;
        let raw: &RawValue = serde_json::from_str(answered).unwrap();
        let entry = AnsweredEntry::from_json(raw).unwrap();
        assert_eq!(entry.len_in_all(), 7);
        let at = UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
        let fields = entry.fields("m", "a:1", at);
        let expected = [
            ("message_id", "m"),
            ("consumer_id", "a:1"),
            ("processed_at", "2023-11-14T22:13:20.123Z"),
            ("total", "3"),
            ("text", "ü"),
            ("processor.consumer_id", "b"),
            ("list", "[1, 2]"),
        ];
        assert_eq!(fields, Fields::from_iter(expected));
        for bad in ["[]", "7", "null", r#"{"a":"\ud800"}"#] {
            let raw: &RawValue = serde_json::from_str(bad).unwrap();
            assert!(AnsweredEntry::from_json(raw).is_err(), "{bad}");
        }
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
