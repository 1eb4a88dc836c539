use super::*;

#[test]
fn names_and_addresses_with_a_port_are_consumer_ids() {
    for text in [
        "127.0.0.1:5001",
        "localhost:1",
        "p_consumer-app_1:65535",
        "f00ba4c0ffee:5001",
        "a.b-c.example:80",
        "worker.example.:80",
        "[::1]:5001",
    ] {
        let id: ConsumerId = text.parse().unwrap();
        assert_eq!(id.as_str(), text);
        assert_eq!(format!("{}:{}", id.host(), id.port()), text);
        assert_eq!(id.url("/health"), format!("http://{text}/health"));
    }
}

#[test]
fn spellings_of_one_address_are_one_id_and_keep_their_text() {
    let parse = |text: &str| text.parse::<ConsumerId>().unwrap();
    for (text, same, url) in [
        ("Host:80", "hOST:80", "http://host:80/"),
        (
            "[::FFFF:127.0.0.1]:80",
            "127.0.0.1:80",
            "http://127.0.0.1:80/",
        ),
        ("[0:0::1]:80", "[::1]:80", "http://[::1]:80/"),
        (
            "[2001:DB8::A]:80",
            "[2001:db8:0::a]:80",
            "http://[2001:db8::a]:80/",
        ),
    ] {
        assert_eq!(parse(text), parse(same));
        assert_eq!(parse(text).cmp(&parse(same)), Ordering::Equal);
        assert_eq!(parse(text).as_str(), text);
        assert_eq!(parse(text).url("/"), url);
        assert_ne!(parse(text), parse(&text.replace(":80", ":81")));
    }
    assert_ne!(
        parse("h.:80"),
        parse("h:80"),
        "only one of them is absolute"
    );
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
        ".:80",
        "a..:80",
        "127.0.0.1.:80",
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
