//! The id of a consumer, which is also the address it is reached at.

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
    sync::Arc,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest host name DNS knows (RFC 1035, section 2.3.4), in bytes.
const MAX_HOST_BYTES: usize = 253;

/// The longest label of a host name (RFC 1035, section 2.3.4), in bytes.
const MAX_LABEL_BYTES: usize = 63;

/// `host:port` with a DNS name or an IPv4 address, or `[v6]:port`; never a URL.
///
/// Names may hold underscores, as container names do, and end in a dot, as absolute names do. A name whose
/// last label is a number must be a dotted IPv4 address, because URL parsers would read anything else as an
/// unusual spelling of one (WHATWG URL, "ends in a number"). The port is 1 to 65535 in plain decimal digits.
///
/// Two ids are equal when they are spellings of one address: `Host:80` and `host:80`, `[::FFFF:127.0.0.1]:80`
/// and `127.0.0.1:80`, `[0::1]:80` and `[::1]:80`. As text each stays as it was spelled, because that is
/// what its consumer looks for.
///
/// Cloning is cheap: the text is shared.
#[derive(Clone)]
pub struct ConsumerId {
    text: Arc<str>,
    /// The same in its one normal spelling.
    address: Arc<str>,
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

    /// The id as text, as it was spelled.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The id in its normal spelling, which is the same for all spellings.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The host in its normal spelling, with the brackets of an IPv6 address.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.address[..self.host_bytes]
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The `http` URL of a path (with its leading slash) at this consumer.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
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
        let normal = normal_host(host).map_err(invalid)?;
        let port = parse_port(port).ok_or_else(|| invalid("its port is not 1 to 65535"))?;
        let address = format!("{normal}:{port}");
        let text = Arc::from(text);
        Ok(Self {
            address: if *address == *text {
                Arc::clone(&text)
            } else {
                address.into()
            },
            text,
            host_bytes: normal.len(),
            port,
        })
    }
}

impl PartialEq for ConsumerId {
    fn eq(&self, other: &Self) -> bool {
        self.address == other.address
    }
}

impl Eq for ConsumerId {}

impl Hash for ConsumerId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.address.hash(state);
    }
}

impl PartialOrd for ConsumerId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ConsumerId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.address.cmp(&other.address)
    }
}

/// The normal spelling of a host, or what is wrong with it.
fn normal_host(host: &str) -> Result<String, &'static str> {
    if let Some(address) = host.strip_prefix('[') {
        let address = address
            .strip_suffix(']')
            .ok_or("its bracket is not closed")?;
        let Ok(address) = address.parse::<Ipv6Addr>() else {
            return Err("its host is not an IPv6 address");
        };
        return Ok(match address.to_canonical() {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        });
    }
    if host.parse::<Ipv6Addr>().is_ok() {
        return Err("its IPv6 address needs brackets, as in [::1]:5001");
    }
    check_name(host)?;
    Ok(host.to_ascii_lowercase())
}

/// Says what is wrong with a name or IPv4 address, if anything.
fn check_name(host: &str) -> Result<(), &'static str> {
    // The dot at the end is not counted: it names the root.
    let name = host.strip_suffix('.').unwrap_or(host);
    if name.is_empty() || name.len() > MAX_HOST_BYTES {
        return Err("its host is not 1 to 253 characters long");
    }
    let is_label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=MAX_LABEL_BYTES).contains(&label.len()) && label.bytes().all(inner)
    };
    if !name.split('.').all(is_label) {
        return Err("its host is neither a name nor an address");
    }
    if ends_in_a_number(name) && host.parse::<Ipv4Addr>().is_err() {
        return Err("its host ends in a number but is not an IPv4 address");
    }
    Ok(())
}

/// Whether URL parsers take the host for an IPv4 address.
fn ends_in_a_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name).to_ascii_lowercase();
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
mod tests;
