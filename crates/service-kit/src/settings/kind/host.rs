//! Host names and addresses.

use std::net::{Ipv4Addr, Ipv6Addr};

/// The longest host name DNS knows (RFC 1035, section 2.3.4), in bytes.
const MAX_HOST_BYTES: usize = 253;

/// The longest label of a host name (RFC 1035, section 2.3.4), in bytes.
const MAX_LABEL_BYTES: usize = 63;

/// A host in the form that sockets take: an IPv6 address without brackets.
pub(super) fn parse(text: &str, may_have_zone: bool) -> Option<String> {
    let inner = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    let bare = inner.unwrap_or(text);
    let address = match bare.split_once('%') {
        Some((address, zone)) if may_have_zone && is_label(zone) => address,
        Some(_) => return None,
        None => bare,
    };
    let is_v6 = address.parse::<Ipv6Addr>().is_ok();
    let is_other = || inner.is_none() && address == bare && is_name_or_v4(bare);
    (is_v6 || is_other()).then(|| bare.to_owned())
}

/// A trailing dot is good: it says that the name is complete.
fn is_name_or_v4(host: &str) -> bool {
    let name = host.strip_suffix('.').unwrap_or(host);
    let last = name.rsplit('.').next().unwrap_or(name);
    let is_hex = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit())
        || last
            .to_ascii_lowercase()
            .strip_prefix("0x")
            .is_some_and(is_hex);
    name.len() <= MAX_HOST_BYTES
        && name.split('.').all(is_label)
        // Else it is an address with a mistake, or an unusual spelling of one.
        && (!is_number || host.parse::<Ipv4Addr>().is_ok())
}

fn is_label(label: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=MAX_LABEL_BYTES).contains(&label.len()) && label.bytes().all(is_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_hosts_with_or_without_brackets() {
        for host in [
            "localhost",
            "a_b-1.example",
            "example.",
            "1a",
            "127.0.0.1",
            "0.0.0.0",
        ] {
            assert_eq!(parse(host, false).unwrap(), host);
        }
        for (text, host) in [("::1", "::1"), ("[::1]", "::1"), ("[::]", "::")] {
            assert_eq!(parse(text, false).unwrap(), host);
        }
        assert_eq!(parse("[fe80::1%eth0]", true).unwrap(), "fe80::1%eth0");
        assert_eq!(parse("fe80::1%eth0", false), None);
    }

    #[test]
    fn anything_else_is_none() {
        for text in [
            "",
            ".",
            "a..b",
            "a.b..",
            "h:1",
            "h/",
            "u@h",
            "[h]",
            "[127.0.0.1]",
            "[::1",
            "::1]",
            "[::1]:1",
            "::g",
            "1.2.3",
            "1.2.3.256",
            "1.2.3.4.",
            "0x7f.1",
            "a.0X",
            "hö",
            "a b",
            "127.0.0.1%eth0",
            "::1%",
            "::1% x",
        ] {
            assert_eq!(parse(text, true), None, "{text}");
        }
    }
}
