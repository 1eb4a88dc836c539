//! What a value is, and so which texts are allowed: the one place where that is decided.

mod host;

use std::fmt;

/// The longest name, in bytes.
const MAX_NAME_BYTES: usize = 512;

/// How much of a value an error shows, in characters.
const SHOWN: usize = 60;

/// Says what is wrong with a text, if anything.
pub type Check = fn(&str) -> Result<(), String>;

/// What a value is.
#[derive(Debug, Clone, Copy)]
pub enum ValueKind {
    /// The name of something that has no other form.
    Name,
    /// A host name or an address, which may have a zone (`fe80::1%eth0`). An IPv6 address may stand in
    /// brackets.
    Host,
    /// The same as part of a URL, where an address has no zone.
    UrlHost,
    /// A URL, with its own check. It may hold a password, so errors never show it.
    Url(Check),
    /// A whole number.
    Number(Range),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A text with its own check.
    Text(Check),
}

/// The numbers that are allowed, both ends included.
#[derive(Debug, Clone, Copy)]
pub struct Range {
    /// The least.
    pub least: u64,
    /// The most.
    pub most: u64,
    /// What is counted; empty where the setting's name says it.
    pub unit: &'static str,
}

impl Range {
    /// Reads a number that is in the range.
    ///
    /// # Errors
    /// What is allowed, for any other text.
    pub fn parse(self, text: &str) -> Result<u64, String> {
        let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|_| is_plain);
        let in_range = number.filter(|number| (self.least..=self.most).contains(number));
        in_range.ok_or_else(|| format!("expected {self}"))
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { least, most, unit } = self;
        write!(f, "{least} to {most}")?;
        if unit.is_empty() {
            return Ok(());
        }
        write!(f, " {unit}")
    }
}

impl ValueKind {
    /// The port of somebody else.
    pub const PORT: Self = Self::count(1, 65_535);

    /// A port to listen on, where 0 is any free one.
    pub const LISTEN_PORT: Self = Self::count(0, 65_535);

    /// `true` or `false`.
    pub const SWITCH: Self = Self::Choice(&["true", "false"]);

    /// A number of what the setting's name says.
    #[must_use]
    pub const fn count(least: u64, most: u64) -> Self {
        Self::number(least, most, "")
    }

    /// A number of a unit.
    #[must_use]
    pub const fn number(least: u64, most: u64, unit: &'static str) -> Self {
        Self::Number(Range { least, most, unit })
    }

    /// Checks a value and answers it in its one form.
    ///
    /// # Errors
    /// What is wrong with it, and what is allowed; nothing of the value is in it.
    pub fn check(self, value: &str) -> Result<String, String> {
        if let Some(problem) = problem(value) {
            return Err(match self.allowed() {
                Some(allowed) => format!("{problem}; expected {allowed}"),
                None => problem.to_owned(),
            });
        }
        let is_good = match self {
            Self::Name => value.len() <= MAX_NAME_BYTES,
            Self::Host => return host::parse(value, true).ok_or_else(|| self.expected()),
            Self::UrlHost => return host::parse(value, false).ok_or_else(|| self.expected()),
            Self::Url(check) | Self::Text(check) => return check(value).map(|()| value.to_owned()),
            Self::Number(range) => return range.parse(value).map(|_| value.to_owned()),
            Self::Choice(words) => words.contains(&value),
        };
        is_good
            .then(|| value.to_owned())
            .ok_or_else(|| self.expected())
    }

    /// What is allowed, for an error or a document; `None` where only the check of its own can say.
    #[must_use]
    pub fn allowed(self) -> Option<String> {
        match self {
            Self::Name => Some(format!("a name of 1 to {MAX_NAME_BYTES} bytes")),
            Self::Host | Self::UrlHost => Some(
                "a host name or an IP address alone, without scheme, port, path or user".to_owned(),
            ),
            Self::Url(_) | Self::Text(_) => None,
            Self::Number(range) => Some(range.to_string()),
            Self::Choice(words) => Some(format!("one of {}", words.join(", "))),
        }
    }

    /// The range of a number.
    pub(super) fn range(self) -> Option<Range> {
        match self {
            Self::Number(range) => Some(range),
            Self::Name
            | Self::Host
            | Self::UrlHost
            | Self::Url(_)
            | Self::Choice(_)
            | Self::Text(_) => None,
        }
    }

    /// A value as an error may show it; `None` where it may hold a password.
    pub(super) fn shown(self, value: &str) -> Option<String> {
        let may_be_secret = match self {
            Self::Url(_) => true,
            Self::Host | Self::UrlHost => value.contains('@'),
            Self::Name | Self::Number(_) | Self::Choice(_) | Self::Text(_) => value.contains("://"),
        };
        if may_be_secret {
            return None;
        }
        let start: String = value.chars().take(SHOWN).collect();
        let end = if start.len() < value.len() { "…" } else { "" };
        Some(format!("{}{end}", start.escape_debug()))
    }

    fn expected(self) -> String {
        format!("expected {}", self.allowed().unwrap_or_default())
    }
}

/// What no value may look like, because it cannot be meant.
fn problem(value: &str) -> Option<&'static str> {
    const QUOTES: [char; 2] = ['"', '\''];
    let has_comment = value
        .split(char::is_whitespace)
        .skip(1)
        .any(|word| word.starts_with(['#', ';']));
    if value.is_empty() {
        Some("it is empty")
    } else if value.trim() != value {
        Some("there is white space around it")
    } else if value.starts_with(QUOTES) || value.ends_with(QUOTES) {
        Some("the quotes would be part of it; leave them out")
    } else if has_comment {
        Some("a comment stands on a line of its own")
    } else if value.contains(char::is_control) {
        Some("there is a control character in it")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_cannot_be_meant_is_refused_whatever_it_is() {
        let kinds = [
            ValueKind::Name,
            ValueKind::Host,
            ValueKind::PORT,
            ValueKind::Text(|_| Ok(())),
        ];
        for value in ["", " a", "a\t", "\"a\"", "a'", "a # b", "a ;b", "a\u{7f}b"] {
            for kind in kinds {
                assert!(kind.check(value).is_err(), "{value:?} {kind:?}");
            }
        }
        for name in ["a#b", "a;b", "#a", "a b", "it's", "ö", "{a}:b"] {
            assert_eq!(ValueKind::Name.check(name).unwrap(), name);
        }
    }

    #[test]
    fn a_number_is_plain_digits_within_its_range() {
        let seconds = ValueKind::number(1, 60, "seconds");
        for good in ["1", "60", "07"] {
            assert_eq!(seconds.check(good).unwrap(), good);
        }
        for bad in ["0", "61", "+1", "-1", "1.0", "1_0", "99999999999999999999"] {
            assert_eq!(seconds.check(bad).unwrap_err(), "expected 1 to 60 seconds");
        }
    }

    #[test]
    fn what_may_be_a_password_is_not_shown_and_long_values_not_whole() {
        assert_eq!(ValueKind::Url(|_| Ok(())).shown("redis://a:b@c"), None);
        assert_eq!(ValueKind::Host.shown("a:b@c"), None);
        assert_eq!(ValueKind::Name.shown("redis://a:b@c"), None);
        assert_eq!(ValueKind::Name.shown("a\u{1b}b").unwrap(), "a\\u{1b}b");
        assert!(ValueKind::Name.shown(&"x".repeat(999)).unwrap().len() < 100);
    }
}
