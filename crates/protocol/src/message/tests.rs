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
fn a_number_may_be_of_any_size_and_is_kept_as_it_stands() {
    let digits = "7".repeat(400);
    for number in [
        "1e309",
        "-1e999999",
        "0.1e-400",
        &digits,
        &format!("{digits}.5e{digits}"),
    ] {
        let text = format!(r#"{{"a":{number},"message_id":"x","b":[{{"c":{number}}}]}}"#);
        let message = parse(&text).unwrap();
        assert_eq!(message.body().as_ref(), text.as_bytes());
        assert_eq!(message.properties().unwrap()[0].1, number);
        assert!(matches!(parse(number), Err(MessageError::NotAnObject)));
        let id = parse(&format!(r#"{{"message_id":{number}}}"#));
        assert!(matches!(id, Err(MessageError::IdNotText)));
    }
    for wrong in ["1e", "01", "+1", ".5", "1.", "0x1", "1_000"] {
        let refused = parse(&format!(r#"{{"message_id":"x","a":{wrong}}}"#));
        assert!(matches!(refused, Err(MessageError::NotJson(_))), "{wrong}");
    }
}

#[test]
fn what_python_writes_for_no_number_is_named() {
    for wrong in ["NaN", "Infinity", "-Infinity", "[1,\nNaN]"] {
        let error = parse(&format!(r#"{{"message_id":"x","ä":{wrong}}}"#)).unwrap_err();
        assert!(
            matches!(error, MessageError::NoNumber(_)),
            "{wrong}: {error}"
        );
    }
    let other = parse(r#"{"message_id":"x","NaN":nan}"#).unwrap_err();
    assert!(matches!(other, MessageError::NotJson(_)), "{other}");
}

#[test]
fn half_of_a_surrogate_pair_is_named_wherever_it_stands() {
    let pair = r"\ud83d\ude00";
    for text in [
        format!(r#"{{"message_id":"{pair}","a":"\\ud800 \u00e9\"{pair}"}}"#),
        format!(r#"{{"message_id":"x","{pair}":"\uD83D\uDE00"}}"#),
    ] {
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
        assert!(parse(&text).is_ok(), "{text}");
    }
    for half in [
        r"\ud800",
        r"\udfff",
        r"\ud800\ud800",
        r"\uDBFFx",
        r"\ud83d\n",
        r"\ude00\ud83d",
    ] {
        for text in [
            format!(r#"{{"message_id":"x","a":["{half}"]}}"#),
            format!(r#"{{"message_id":"x","{half}":1}}"#),
            format!(r#"{{"message_id":"{half}"}}"#),
        ] {
            let error = parse(&text).unwrap_err();
            let MessageError::LoneSurrogate { at, .. } = error else {
                panic!("{text}: {error}");
            };
            assert_eq!(text.as_bytes()[at - 1], b'\\');
        }
    }
    for wrong in [r"\ud8", r"\u", r"\", r"\ug000", r"\x"] {
        let refused = parse(&format!(r#"{{"message_id":"x","a":"{wrong}"}}"#));
        assert!(matches!(refused, Err(MessageError::NotJson(_))), "{wrong}");
    }
    let end = parse(r#"{"message_id":"x","a":"\ud83d"#);
    assert!(matches!(end, Err(MessageError::LoneSurrogate { .. })));
}

#[test]
fn a_byte_order_mark_is_left_out() {
    let text = r#"{"message_id":"x"}"#;
    let message = parse(&format!("\u{feff}{text}")).unwrap();
    assert_eq!(message.body().as_ref(), text.as_bytes());
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let error = Message::parse([&b"\xff\xfe"[..], &utf16].concat().into()).unwrap_err();
    assert!(matches!(error, MessageError::NotUtf8(_)), "{error}");
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
    assert!(matches!(parse(&nested(127)), Err(MessageError::TooDeep)));
    let wide = format!(
        r#"{{"message_id":"a","b":[{}{{}}],"c":"{}"}}"#,
        "[[]],".repeat(500),
        "[".repeat(500)
    );
    assert!(parse(&wide).is_ok());
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
