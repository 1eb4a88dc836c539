use super::*;

fn parse(text: &str) -> Result<Message, MessageError> {
    Message::parse(Bytes::copy_from_slice(text.as_bytes()))
}

#[test]
fn a_message_keeps_its_bytes_and_knows_its_id() {
    let text = r#" {"a":1, "message_id":"x\u00e9", "b":{"c":[true,null,1.5,-2]}} "#;
    let message = parse(text).unwrap();
    assert_eq!(message.id().as_str(), "xé");
    assert_eq!(message.body().as_ref(), text.as_bytes());
}

#[test]
fn whatever_is_not_a_message_is_refused_with_its_reason() {
    use MessageError as E;
    assert!(matches!(parse(""), Err(E::NotJson(_))));
    assert!(matches!(parse("\u{0}\u{1}"), Err(E::NotJson(_))));
    assert!(matches!(
        parse(r#"{"message_id":"a"} x"#),
        Err(E::NotJson(_))
    ));
    assert!(matches!(
        parse(r#"{"message_id":"a","b":"\ud800"}"#),
        Err(E::NotJson(_))
    ));
    assert!(matches!(
        parse(r#"{"message_id":"a","b":1e999}"#),
        Err(E::NotJson(_))
    ));
    for other in [
        "1",
        "-1",
        "1.5",
        "null",
        "true",
        r#""text""#,
        r#"["message_id","a"]"#,
    ] {
        assert!(matches!(parse(other), Err(E::NotAnObject)), "{other}");
    }
    assert!(matches!(parse("{}"), Err(E::MissingId)));
    for id in ["1", "-1", "1.5", "null", "true", "[]", r#"{"a":1}"#] {
        let text = format!(r#"{{"message_id":{id}}}"#);
        assert!(matches!(parse(&text), Err(E::IdNotText)), "{id}");
    }
    assert!(matches!(parse(r#"{"message_id":""}"#), Err(E::EmptyId)));
    let twice = r#"{"message_id":"a","message_id":"b"}"#;
    assert!(matches!(parse(twice), Err(E::RepeatedId)));
}

#[test]
fn an_id_may_have_256_bytes_and_no_more() {
    let text = |bytes| format!(r#"{{"message_id":"{}"}}"#, "x".repeat(bytes));
    assert!(parse(&text(MAX_MESSAGE_ID_BYTES)).is_ok());
    assert!(matches!(
        parse(&text(257)),
        Err(MessageError::LongId { bytes: 257 })
    ));
}

#[test]
fn a_message_may_have_one_mebibyte_and_no_more() {
    let text = |bytes| format!(r#"{{"message_id":"a","b":"{}"}}"#, "x".repeat(bytes));
    let overhead = text(0).len();
    assert!(parse(&text(MAX_MESSAGE_BYTES - overhead)).is_ok());
    let larger = parse(&text(MAX_MESSAGE_BYTES - overhead + 1));
    assert!(matches!(larger, Err(MessageError::TooLarge { .. })));
}

#[test]
fn nesting_is_limited_as_in_the_consumers_parser() {
    let nested = |depth| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        format!(r#"{{"message_id":"a","b":{open}{close}}}"#)
    };
    for depth in [1, 125, 126, 127, 128, 100_000] {
        let accepted = parse(&nested(depth)).is_ok();
        let readable = serde_json::from_str::<serde_json::Value>(&nested(depth)).is_ok();
        assert_eq!(accepted, readable, "depth {depth}");
    }
    assert!(parse(&nested(100_000)).is_err());
}

#[test]
fn properties_are_text_or_the_json_they_were_published_as() {
    let text = r#"{"s":"a\"b","message_id":"x","n":1.50,"o":{"k": [1, 2]},"z":null,"s":"last"}"#;
    let message = parse(text).unwrap();
    let properties = message.properties().unwrap();
    let expected = [
        ("s", "last"),
        ("n", "1.50"),
        ("o", r#"{"k": [1, 2]}"#),
        ("z", "null"),
    ];
    assert_eq!(properties, expected.map(|(n, v)| (n.into(), v.into())));
}

#[test]
fn of_a_repeated_name_the_last_value_counts_however_many_names_there_are() {
    for names in [1, 15, 16, 17, 18, 100, 3_000] {
        let first: String = (0..names)
            .map(|n| format!(r#","\u006e{n}":"no""#))
            .collect();
        let again: String = (0..names).map(|n| format!(r#","n{n}":{n}"#)).collect();
        let message = parse(&format!(r#"{{"message_id":"a"{first}{again}}}"#)).unwrap();
        let properties = message.properties().unwrap();
        let expected: Vec<_> = (0..names)
            .map(|n| (format!("n{n}").into(), n.to_string().into()))
            .collect();
        assert_eq!(properties, expected);
    }
}
