//! The trace a message belongs to: W3C Trace Context, in the message's own properties.
//!
//! ```json
//! {"message_id": "a", "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "tracestate": "k=v"}
//! ```
//!
//! The rules are those of <https://www.w3.org/TR/trace-context/> for the headers of the same names.

use std::{borrow::Cow, fmt};

use memchr::memmem;

use crate::Message;

/// The property, and the HTTP header, that names trace and span.
pub const TRACEPARENT: &str = "traceparent";

/// The property, and the HTTP header, with what vendors add.
pub const TRACESTATE: &str = "tracestate";

/// The longest value of either that is taken, in bytes.
pub const MAX_TRACE_BYTES: usize = 512;

/// How long a `traceparent` of version 00 is, in bytes.
const LENGTH: usize = 55;

/// A span as `traceparent` names it: valid by construction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceParent {
    text: Box<str>,
    trace_id: u128,
    span_id: u64,
    is_sampled: bool,
}

impl TraceParent {
    /// Reads the value of a header or property; `None` for what Trace Context forbids.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let known = text.get(..LENGTH)?;
        let mut parts = known.split('-');
        let mut part = |digits| hex(parts.next()?, digits);
        let version = part(2)?;
        let (trace_id, span_id, flags) = (part(32)?, part(16)?, part(2)?);
        let is_whole = match version {
            0 => text.len() == LENGTH,
            0xff => false,
            // Later versions may have more to say (section 3.2.4).
            _ => text.len() == LENGTH || is_value(text) && text[LENGTH..].starts_with('-'),
        };
        let is_valid = is_whole && parts.next().is_none() && trace_id != 0 && span_id != 0;
        is_valid.then_some(Self {
            text: text.into(),
            trace_id,
            span_id: u64::try_from(span_id).ok()?,
            is_sampled: flags & 1 == 1,
        })
    }

    /// A span of a trace that is recorded.
    #[must_use]
    pub fn sampled(trace_id: u128, span_id: u64) -> Self {
        Self {
            text: format!("00-{trace_id:032x}-{span_id:016x}-01").into(),
            trace_id,
            span_id,
            is_sampled: true,
        }
    }

    /// The value for a header.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The trace.
    #[must_use]
    pub fn trace_id(&self) -> u128 {
        self.trace_id
    }

    /// The span in it.
    #[must_use]
    pub fn span_id(&self) -> u64 {
        self.span_id
    }

    /// Whether whoever began the trace records it.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.is_sampled
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What is passed on with a message: the span it comes from, and what vendors add.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceContext {
    /// The span.
    pub parent: TraceParent,
    /// `tracestate`, as it is.
    pub state: Option<Box<str>>,
}

impl TraceContext {
    /// Reads `traceparent` and `tracestate`; a `tracestate` that no header can hold is left out.
    #[must_use]
    pub fn parse(parent: &str, state: Option<&str>) -> Option<Self> {
        let parent = TraceParent::parse(parent)?;
        let state = state.filter(|state| is_value(state)).map(Into::into);
        Some(Self { parent, state })
    }
}

impl Message {
    /// The trace the message belongs to; `None` without a `traceparent` that is valid.
    ///
    /// A message without the name of the property costs one search for it. A name that is written with
    /// escapes is not found.
    #[must_use]
    pub fn trace_context(&self) -> Option<TraceContext> {
        memmem::find(self.body(), TRACEPARENT.as_bytes())?;
        let properties = self.properties().ok()?;
        let find = |name| properties.iter().find(|(known, _)| known == name);
        let value = |(_, value): &'_ (_, Cow<'_, str>)| value.to_string();
        let (parent, state) = (find(TRACEPARENT).map(value)?, find(TRACESTATE).map(value));
        TraceContext::parse(&parent, state.as_deref())
    }
}

/// A number of exactly so many lower-case hexadecimal digits.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if text.len() != digits || !text.bytes().all(is_digit) {
        return None;
    }
    u128::from_str_radix(text, 16).ok()
}

/// Whether a header can hold the text.
fn is_value(text: &str) -> bool {
    let is_visible = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
    (1..=MAX_TRACE_BYTES).contains(&text.len()) && text.bytes().all(is_visible)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn context(text: &str) -> Option<TraceContext> {
        let body = Bytes::copy_from_slice(text.as_bytes());
        Message::parse(body).unwrap().trace_context()
    }

    #[test]
    fn a_traceparent_names_trace_span_and_whether_it_is_sampled() {
        let parent = TraceParent::parse(PARENT).unwrap();
        assert_eq!(parent.trace_id(), 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_eq!(parent.span_id(), 0x00f0_67aa_0ba9_02b7);
        assert!(parent.is_sampled());
        assert_eq!(parent.as_str(), PARENT);
        let made = TraceParent::sampled(parent.trace_id(), parent.span_id());
        assert_eq!(made, parent);
        let unsampled = PARENT.replace("-01", "-00");
        assert!(!TraceParent::parse(&unsampled).unwrap().is_sampled());
    }

    #[test]
    fn a_later_version_may_say_more() {
        let later = PARENT.replacen("00", "01", 1);
        for text in [&later, &format!("{later}-more")] {
            assert_eq!(TraceParent::parse(text).unwrap().as_str(), text);
        }
        assert!(TraceParent::parse(&format!("{later}more")).is_none());
        assert!(TraceParent::parse(&format!("{later}-\n")).is_none());
    }

    #[test]
    fn what_trace_context_forbids_is_no_traceparent() {
        for text in [
            String::new(),
            "00".to_owned(),
            PARENT.to_uppercase(),
            PARENT.replacen("00", "ff", 1),
            format!("{PARENT}-more"),
            format!(" {PARENT}"),
            PARENT.replace('-', "_"),
            PARENT.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            PARENT.replace("00f067aa0ba902b7", &"0".repeat(16)),
            PARENT.replace("b7", "g7"),
            PARENT.replace("b7", "é"),
            PARENT.replace("-01", "-+1"),
            format!("00-{}-", "é".repeat(40)),
        ] {
            assert_eq!(TraceParent::parse(&text), None, "{text}");
        }
    }

    #[test]
    fn a_message_carries_its_context_as_properties() {
        let text = format!(r#"{{"message_id":"a","traceparent":"{PARENT}","tracestate":"k=v"}}"#);
        let found = context(&text).unwrap();
        assert_eq!(found.parent.as_str(), PARENT);
        assert_eq!(found.state.as_deref(), Some("k=v"));
        for text in [
            r#"{"message_id":"a"}"#.to_owned(),
            r#"{"message_id":"traceparent"}"#.to_owned(),
            r#"{"message_id":"a","traceparent":7}"#.to_owned(),
            r#"{"message_id":"a","traceparent":"x"}"#.to_owned(),
            format!(r#"{{"message_id":"a","x":{{"traceparent":"{PARENT}"}}}}"#),
            r#"{"message_id":"a","tracestate":"k=v"}"#.to_owned(),
        ] {
            assert_eq!(context(&text), None, "{text}");
        }
        let odd = format!(r#"{{"message_id":"a","traceparent":"{PARENT}","tracestate":"a\nb"}}"#);
        assert_eq!(context(&odd).unwrap().state, None);
    }
}
