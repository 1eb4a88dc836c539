//! What the body of an answer says, as far as it can be read.
//!
//! What stands before the place where a body breaks off, or is no JSON, counts.

use std::fmt;

use hyper::StatusCode;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Value, value::RawValue};

/// What is of interest.
#[derive(Debug, Default)]
pub(super) struct ResponseBody<'a> {
    /// `"result":"duplicate"`.
    pub(super) is_duplicate: bool,
    /// `"settled":true`.
    pub(super) is_settled: bool,
    /// `"entry":{…}`.
    pub(super) entry: GivenEntry<'a>,
    /// `"processed":512`.
    pub(super) processed: Option<usize>,
    /// `"results":[…]`, each as JSON.
    pub(super) results: Vec<&'a RawValue>,
    /// Whether it could be read to the end.
    pub(super) is_whole: bool,
}

impl<'a> ResponseBody<'a> {
    pub(super) fn read(body: &'a [u8]) -> Self {
        let mut said = Self::default();
        let mut json = serde_json::Deserializer::from_slice(body);
        let read = Fields(&mut said).deserialize(&mut json);
        said.is_whole = read.and_then(|()| json.end()).is_ok();
        said
    }
}

/// What a consumer gives the group to record.
#[derive(Debug, Clone, Copy, Default)]
pub(super) enum GivenEntry<'a> {
    #[default]
    None,
    Json(&'a RawValue),
    /// It began, and the answer broke off in it or is no JSON there.
    BrokenOff,
}

impl<'a> From<Option<&'a RawValue>> for GivenEntry<'a> {
    fn from(entry: Option<&'a RawValue>) -> Self {
        match entry {
            Some(json) if json.get() != "null" => Self::Json(json),
            Some(_) | None => Self::None,
        }
    }
}

/// The outcome of one message of a batch.
#[derive(Debug, Deserialize)]
pub(super) struct MessageResult<'a> {
    pub(super) status: u16,
    #[serde(default)]
    pub(super) result: Value,
    #[serde(default)]
    pub(super) error: Value,
    #[serde(default)]
    pub(super) retry_after: Value,
    #[serde(default)]
    pub(super) settled: Value,
    #[serde(default, borrow)]
    pub(super) entry: Option<&'a RawValue>,
}

impl<'a> MessageResult<'a> {
    pub(super) fn status(&self) -> Option<StatusCode> {
        StatusCode::from_u16(self.status).ok()
    }

    pub(super) fn is_duplicate(&self) -> bool {
        self.result == DUPLICATE
    }

    /// Whether the consumer has settled it.
    pub(super) fn is_settled(&self) -> bool {
        self.settled == true
    }

    /// What the group is to record of it.
    pub(super) fn entry(&self) -> GivenEntry<'a> {
        self.entry.into()
    }

    /// What went wrong; whatever else than a text it is, as JSON.
    pub(super) fn error(&self) -> String {
        match &self.error {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }
}

const DUPLICATE: &str = "duplicate";

/// The fields of an answer.
struct Fields<'s, 'a>(&'s mut ResponseBody<'a>);

impl<'a> DeserializeSeed<'a> for Fields<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for Fields<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut fields: A) -> Result<(), A::Error> {
        let Self(said) = self;
        let mut processed = None;
        loop {
            let name = fields.next_key::<String>()?;
            // A number is whole only when something follows.
            said.processed = processed;
            let Some(name) = name else { return Ok(()) };
            match name.as_str() {
                "result" => said.is_duplicate = fields.next_value::<Value>()? == DUPLICATE,
                "settled" => said.is_settled = fields.next_value::<Value>()? == true,
                "processed" => {
                    let count = fields.next_value::<Value>()?;
                    processed = count.as_u64().and_then(|count| count.try_into().ok());
                }
                "entry" => {
                    said.entry = GivenEntry::BrokenOff;
                    said.entry = fields.next_value::<Option<&RawValue>>()?.into();
                }
                "results" => fields.next_value_seed(Results(&mut said.results))?,
                _ => drop(fields.next_value::<IgnoredAny>()?),
            }
        }
    }
}

/// The results of a batch.
struct Results<'s, 'a>(&'s mut Vec<&'a RawValue>);

impl<'a> DeserializeSeed<'a> for Results<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'a> Visitor<'a> for Results<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut results: A) -> Result<(), A::Error> {
        while let Some(result) = results.next_element()? {
            self.0.push(result);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_before_a_break_counts() {
        let body = br#"{"result":"duplicate","results":[{"status":200},{"status":422},{"stat"#;
        let said = ResponseBody::read(body);
        assert!(said.is_duplicate);
        assert_eq!((said.results.len(), said.is_whole), (2, false));
    }

    #[test]
    fn an_entry_is_none_or_whole_or_known_to_have_broken_off() {
        let entry = |body: &'static [u8]| ResponseBody::read(body).entry;
        for body in [&b""[..], b"{}", br#"{"entry":null}"#, br#"{"ent"#] {
            assert!(matches!(entry(body), GivenEntry::None));
        }
        for body in [
            &br#"{"entry":{"a":1"#[..],
            br#"{"entry":"#,
            br#"{"entry":nil}"#,
        ] {
            assert!(matches!(entry(body), GivenEntry::BrokenOff));
        }
        let GivenEntry::Json(json) = entry(br#"{"entry":{"a":1},"#) else {
            panic!("no entry");
        };
        assert_eq!(json.get(), r#"{"a":1}"#);
    }

    #[test]
    fn a_number_that_breaks_off_is_none() {
        assert_eq!(ResponseBody::read(br#"{"processed":51"#).processed, None);
        assert_eq!(
            ResponseBody::read(br#"{"processed":51,"message":"we"#).processed,
            Some(51)
        );
    }

    #[test]
    fn what_is_no_object_says_nothing() {
        for body in [&b""[..], b"[1]", b"duplicate", b"\"duplicate\"", b"\xff"] {
            let said = ResponseBody::read(body);
            assert!(!said.is_duplicate && !said.is_whole && said.processed.is_none());
        }
    }
}
