use super::*;

fn answer(status: u16, body: &[u8]) -> ConsumerResponse {
    ConsumerResponse {
        status: StatusCode::from_u16(status).unwrap(),
        headers: hyper::HeaderMap::new(),
        body: body.to_vec(),
        lost: None,
        room: None,
    }
}

fn cut(lost: Truncation, body: &str) -> ConsumerResponse {
    ConsumerResponse {
        lost: Some(lost),
        ..answer(200, body.as_bytes())
    }
}

fn message(status: u16, body: &[u8]) -> Outcome {
    of_message(&answer(status, body))
}

fn batch(status: u16, body: &str) -> Outcomes {
    of_batch(&answer(status, body.as_bytes()), 3)
}

#[test]
fn the_status_says_whose_fault_it_is() {
    for status in [200, 201, 204] {
        assert_eq!(
            message(status, b"why"),
            Outcome::Delivered(Remaining::Settle),
            "{status}"
        );
    }
    for status in [400, 413, 422] {
        let outcome = message(status, b"why");
        assert!(matches!(outcome, Outcome::Rejected(_)), "{status}");
        assert!(matches!(batch(status, ""), Outcomes::NoBatches(_)));
    }
    for status in [404, 405, 415, 501] {
        let outcome = message(status, b"why");
        assert!(matches!(outcome, Outcome::Failed(_)), "{status}");
        assert!(matches!(batch(status, ""), Outcomes::NoBatches(_)));
    }
    for status in [502, 504] {
        let outcome = message(status, b"why");
        assert!(matches!(outcome, Outcome::BadGateway(_)), "{status}");
        let outcomes = batch(status, "");
        assert!(matches!(outcomes, Outcomes::All(Outcome::BadGateway(_))));
    }
    for status in [301, 401, 403, 408, 409, 500] {
        let outcome = message(status, b"why");
        assert!(matches!(outcome, Outcome::Failed(_)), "{status}");
        assert!(matches!(
            batch(status, ""),
            Outcomes::All(Outcome::Failed(_))
        ));
    }
    for status in [429, 503] {
        let busy = Outcome::Busy(DEFAULT_RETRY_AFTER);
        assert_eq!(message(status, b"why"), busy, "{status}");
        assert_eq!(batch(status, ""), Outcomes::All(busy), "{status}");
    }
}

#[test]
fn a_failure_that_asks_to_come_again_speaks_of_the_message_alone() {
    let wait = Duration::from_secs(7);
    let mut answer = answer(500, b"");
    answer
        .headers
        .insert(hyper::header::RETRY_AFTER, 7_u64.into());
    assert_eq!(of_message(&answer), Outcome::Later(wait));
    assert_eq!(of_batch(&answer, 3), Outcomes::All(Outcome::Later(wait)));
    answer.status = StatusCode::SERVICE_UNAVAILABLE;
    assert_eq!(of_message(&answer), Outcome::Busy(wait));
}

#[test]
fn an_entry_is_what_the_group_is_to_record() {
    let json = r#"{"a":1}"#;
    let entry = AnsweredEntry::from_json(serde_json::from_str(json).unwrap()).unwrap();
    let recorded = Outcome::Delivered(Remaining::Record(entry));
    assert_eq!(message(200, br#"{"entry":{"a":1},"x":"#), recorded);
    let results = r#"{"results":[{"status":200,"entry":{"a":1}},{"status":200,"entry":null},{"status":200,"entry":7}]}"#;
    let Outcomes::Each(each) = batch(200, results) else {
        panic!("no result each");
    };
    assert_eq!(each[0], recorded);
    assert_eq!(each[1], Outcome::Delivered(Remaining::Settle));
    for failed in [
        &each[2],
        &message(200, br#"{"entry":{"a":1"#),
        &message(200, br#"{"entry":[]}"#),
    ] {
        assert!(matches!(failed, Outcome::Failed(_)), "{failed:?}");
    }
    // Whoever settled it has recorded it, and so has whoever had it before.
    let settled = br#"{"settled":true,"entry":{"a":1}}"#;
    assert_eq!(
        message(200, settled),
        Outcome::Delivered(Remaining::Nothing)
    );
    let before = br#"{"result":"duplicate","entry":{"a":1}}"#;
    assert_eq!(message(200, before), Outcome::Duplicate(Remaining::Settle));
}

#[test]
fn a_duplicate_is_one_only_when_the_consumer_says_so() {
    let duplicate = br#"{"result":"duplicate"}"#;
    assert_eq!(
        message(200, duplicate),
        Outcome::Duplicate(Remaining::Settle)
    );
    for said in [&b"duplicate"[..], b"{}", br#"{"result":"created"}"#, b"[1]"] {
        assert_eq!(message(200, said), Outcome::Delivered(Remaining::Settle));
    }
    assert!(matches!(message(500, duplicate), Outcome::Failed(_)));
}

#[test]
fn a_consumer_may_have_settled_what_it_processed() {
    let (all, one) = (r#"{"processed":3,"settled":true}"#, br#"{"settled":true}"#);
    let delivered = Outcome::Delivered(Remaining::Nothing);
    assert_eq!(message(200, one), delivered);
    assert_eq!(batch(200, all), Outcomes::All(delivered.clone()));
    assert_eq!(
        message(200, br#"{"settled":1}"#),
        Outcome::Delivered(Remaining::Settle)
    );
    let each = r#"{"results":[{"status":200,"settled":true},
        {"status":200,"result":"duplicate","settled":true},{"status":412}]}"#;
    let expected = vec![
        delivered,
        Outcome::Duplicate(Remaining::Nothing),
        Outcome::UnknownPosition,
    ];
    assert_eq!(batch(200, each), Outcomes::Each(expected));
}

#[test]
fn each_message_of_a_batch_has_an_outcome_of_its_own() {
    assert_eq!(
        batch(200, r#"{"processed":3}"#),
        Outcomes::All(Outcome::Delivered(Remaining::Settle))
    );
    let mixed = r#"{"results":[{"status":200,"result":"duplicate"},
        {"status":500,"error":"no","retry_after":2},{"status":422,"error":"bad"}]}"#;
    let rejected = "the consumer answered 422 Unprocessable Entity: bad".to_owned();
    let expected = vec![
        Outcome::Duplicate(Remaining::Settle),
        Outcome::Later(Duration::from_secs(2)),
        Outcome::Rejected(rejected),
    ];
    assert_eq!(batch(200, mixed), Outcomes::Each(expected));
}

#[test]
fn a_batch_whose_answer_leaves_messages_out_has_failed() {
    for said in [
        "",
        "OK",
        "{}",
        r#"{"processed":2}"#,
        r#"{"results":[{"status":200}]}"#,
        r#"{"results":[{"status":200},{"status":200},{"status":200},{"status":200}]}"#,
    ] {
        let outcomes = batch(200, said);
        assert!(
            matches!(outcomes, Outcomes::All(Outcome::Failed(_))),
            "{said}"
        );
    }
    let odd = r#"{"results":[{"status":200},{"status":99},{"status":200}]}"#;
    let Outcomes::Each(outcomes) = batch(200, odd) else {
        panic!("not each");
    };
    assert!(matches!(outcomes[1], Outcome::Failed(_)));
}

#[test]
fn a_success_that_is_too_long_or_whose_head_cannot_be_read_is_one() {
    let long = cut(Truncation::Excess, r#"{"result":"duplicate","x":"xxxxx"#);
    assert_eq!(of_message(&long), Outcome::Duplicate(Remaining::Settle));
    assert_eq!(
        of_message(&cut(Truncation::Excess, "xxxxx")),
        Outcome::Delivered(Remaining::Settle)
    );
    assert_eq!(
        of_message(&cut(Truncation::Head, "")),
        Outcome::Delivered(Remaining::Settle)
    );
    let batch = of_batch(&cut(Truncation::Head, ""), 3);
    assert_eq!(batch, Outcomes::NoBatches(StatusCode::OK));
}

#[test]
fn a_success_that_breaks_off_or_is_late_is_none() {
    let broken = Truncation::Broken("reset".to_owned());
    assert!(matches!(of_message(&cut(broken, "")), Outcome::Failed(_)));
    assert_eq!(of_message(&cut(Truncation::Late, "")), Outcome::TimedOut);
}

#[test]
fn what_is_known_of_a_batch_counts_however_the_answer_ends() {
    let known = r#"{"results":[{"status":200},{"status":200,"result":"duplicate"},"#;
    let broken = Truncation::Broken("reset".to_owned());
    for (lost, end) in [
        (Some(broken), r#"{"status":2"#),
        (Some(Truncation::Excess), r#"{"status":200,"error":"xxx"#),
        (None, "oh no"),
        (None, r#"{"status":"good"}]}"#),
    ] {
        let answer = ConsumerResponse {
            lost,
            ..answer(200, format!("{known}{end}").as_bytes())
        };
        let Outcomes::Each(outcomes) = of_batch(&answer, 3) else {
            panic!("not each");
        };
        assert_eq!(
            outcomes[..2],
            [
                Outcome::Delivered(Remaining::Settle),
                Outcome::Duplicate(Remaining::Settle)
            ]
        );
        assert!(matches!(outcomes[2], Outcome::Failed(_)), "{end}");
    }
    let Outcomes::Each(outcomes) = of_batch(&cut(Truncation::Late, known), 3) else {
        panic!("not each");
    };
    assert_eq!(outcomes[2], Outcome::TimedOut);
}

#[test]
fn a_long_answer_is_not_shown_whole() {
    let outcome = message(500, &[b'x'; 10_000]);
    assert!(outcome.describe().len() < 300);
}
