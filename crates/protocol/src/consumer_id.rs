//! The id of a consumer, which is also the address it is reached at.

use std::{fmt, net::Ipv4Addr, net::Ipv6Addr, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest host name DNS knows (RFC 1035, section 2.3.4), in bytes.
const MAX_HOST_BYTES: usize = 253;

/// The longest label of a host name (RFC 1035, section 2.3.4), in bytes.
const MAX_LABEL_BYTES: usize = 63;

/// `host:port` with a DNS name or an IPv4 address, or `[v6]:port`; never a URL.
///
/// Names may hold underscores, as container names do. A name whose last label is a number must be a
/// dotted IPv4 address, because URL parsers would read anything else as an unusual spelling of one
/// (WHATWG URL, "ends in a number"). The port is 1 to 65535 in plain decimal digits.
///
/// Cloning is cheap: the text is shared.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConsumerId {
    text: Arc<str>,
    host_bytes: usize,
    port: u16,
}

impl ConsumerId {
    /// Joins a host and a port; a bare IPv6 address gets its brackets.
    ///
    /// # Errors
    /// As [`ConsumerId::from_str`].
    pub fn new(host: &str, port: u16) -> Result<Self, InvalidConsumerId> {
        match host.parse::<Ipv6Addr>() {
            Ok(address) => format!("[{address}]:{port}").parse(),
            Err(_) => format!("{host}:{port}").parse(),
        }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The host, with the brackets of an IPv6 address.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.text[..self.host_bytes]
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The `http` URL of a path (with its leading slash) at this consumer.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.text)
    }
}

impl FromStr for ConsumerId {
    type Err = InvalidConsumerId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = |why| InvalidConsumerId {
            text: text.chars().take(80).collect(),
            why,
        };
        let (host, port) = text
            .rsplit_once(':')
            .ok_or_else(|| invalid("it has no port"))?;
        check_host(host).map_err(invalid)?;
        let port = parse_port(port).ok_or_else(|| invalid("its port is not 1 to 65535"))?;
        Ok(Self {
            text: text.into(),
            host_bytes: host.len(),
            port,
        })
    }
}

/// Says what is wrong with a host, if anything.
fn check_host(host: &str) -> Result<(), &'static str> {
    if let Some(address) = host.strip_prefix('[') {
        let address = address
            .strip_suffix(']')
            .ok_or("its bracket is not closed")?;
        return match address.parse::<Ipv6Addr>() {
            Ok(_) => Ok(()),
            Err(_) => Err("its host is not an IPv6 address"),
        };
    }
    if host.is_empty() || host.len() > MAX_HOST_BYTES {
        return Err("its host is not 1 to 253 characters long");
    }
    let is_label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=MAX_LABEL_BYTES).contains(&label.len()) && label.bytes().all(inner)
    };
    if !host.split('.').all(is_label) {
        return Err("its host is neither a name nor an address");
    }
    if ends_in_a_number(host) && host.parse::<Ipv4Addr>().is_err() {
        return Err("its host ends in a number but is not an IPv4 address");
    }
    Ok(())
}

/// Whether URL parsers take the host for an IPv4 address.
fn ends_in_a_number(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or(host).to_ascii_lowercase();
    let is_hex = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    last.bytes().all(|byte| byte.is_ascii_digit()) || last.strip_prefix("0x").is_some_and(is_hex)
}

/// Plain decimal digits only: no sign, no leading zero.
fn parse_port(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| plain)
}

impl fmt::Display for ConsumerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for ConsumerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl Serialize for ConsumerId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for ConsumerId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// A text that is no [`ConsumerId`].
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is not a consumer id of the form host:port: {why}", text = text.escape_debug())]
pub struct InvalidConsumerId {
    text: String,
    why: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_with_a_port_are_consumer_ids() {
        for text in [
            "127.0.0.1:5001",
            "localhost:1",
            "p_consumer-app_1:65535",
            "f00ba4c0ffee:5001",
            "a.b-c.example:80",
            "[::1]:5001",
        ] {
            let id: ConsumerId = text.parse().unwrap();
            assert_eq!(id.as_str(), text);
            assert_eq!(format!("{}:{}", id.host(), id.port()), text);
            assert_eq!(id.url("/health"), format!("http://{text}/health"));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let long_label = format!("{}:80", "a".repeat(64));
        let long_host = format!("{}:80", ["abcdefg"; 40].join("."));
        for text in [
            "",
            ":",
            "host",
            "host:",
            ":80",
            "host:0",
            "host:65536",
            "host:+80",
            "host:080",
            "host:8o",
            "http://host:80",
            "user@host:80",
            "host:80/path",
            "ho st:80",
            "host\u{0}:80",
            "hóst:80",
            "a..b:80",
            "::1:80",
            "[::1:80",
            "[::g]:80",
            "[127.0.0.1]:80",
            "0x7f.1:80",
            "2130706433:80",
            "1.2.3:80",
            "1.2.3.256:80",
            "a.0x:80",
            &long_label,
            &long_host,
        ] {
            assert!(text.parse::<ConsumerId>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_bare_ipv6_address_gets_brackets() {
        assert_eq!(ConsumerId::new("::1", 80).unwrap().as_str(), "[::1]:80");
    }

    #[test]
    fn the_error_shows_no_control_characters_and_not_all_of_a_long_text() {
        let error = format!("a\u{1b}[2J{}", "x".repeat(1000))
            .parse::<ConsumerId>()
            .unwrap_err();
        assert!(!error.to_string().contains('\u{1b}'));
        assert!(error.to_string().len() < 200);
    }
}
