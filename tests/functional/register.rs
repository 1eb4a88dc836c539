//! `POST /register`, `/unregister` and `/checkMembership` of the group.

use anyhow::Result;
use harness::{
    Bus, FakeConsumer, PATIENCE, Reply, Service,
    calls::{self, Answer, check_membership, ok, post_raw, register, unregister},
    services::{self, group, redis},
    wait_until,
};
use serde_json::{Value, json};

const CALLS: [&str; 3] = ["/register", "/unregister", "/checkMembership"];

#[tokio::test]
async fn a_consumer_is_registered_checked_and_unregistered() -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    let is_member = |is_member: bool, status| Answer {
        status,
        body: json!({ "is_member": is_member }),
    };
    let id = "no-such-host:5001";

    let answer = check_membership(&group, id).await?;
    assert_eq!(answer, is_member(false, 404));

    let answer = register(&group, id).await?;
    assert_eq!(answer, ok(&format!("Consumer with id {id} is registered.")));
    assert_eq!(check_membership(&group, id).await?, is_member(true, 200));
    assert_eq!(bus.members().await?, [id]);

    let answer = unregister(&group, id).await?;
    assert_eq!(
        answer,
        ok(&format!("Consumer with id {id} is unregistered."))
    );
    assert_eq!(check_membership(&group, id).await?, is_member(false, 404));
    assert!(bus.members().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn unregistering_a_stranger_is_fine() -> Result<()> {
    let redis = redis().await?;
    let group = group(&redis, &[]).await?;
    register(&group, "a:1").await?;
    let answer = unregister(&group, "b:2").await?;
    assert_eq!(answer, ok("Consumer with id b:2 is unregistered."));
    assert_eq!(Bus::of(&redis).members().await?, ["a:1"]);
    Ok(())
}

#[tokio::test]
async fn whoever_registers_twice_is_in_the_list_once_also_when_the_group_is_full() -> Result<()> {
    let redis = redis().await?;
    let group = group(&redis, &["--maxConsumerGroupSize", "2"]).await?;
    for id in ["a:1", "a:1", "b:2", "a:1", "b:2"] {
        assert_eq!(register(&group, id).await?.status, 200, "{id}");
    }
    assert_eq!(Bus::of(&redis).members().await?, ["a:1", "b:2"]);
    Ok(())
}

#[tokio::test]
async fn a_full_group_takes_nobody_and_says_why() -> Result<()> {
    let redis = redis().await?;
    let group = group(&redis, &["--maxConsumerGroupSize", "1"]).await?;
    let member = FakeConsumer::join(&group, Reply::status(200)).await?;
    let answer = register(&group, "b:2").await?;
    assert_eq!(answer.status, 500);
    let reference = answer.reference("Failed to register consumer!")?;
    let line = group.wait_for_log(&reference, PATIENCE).await?;
    assert!(line.contains("full"), "{line}");
    let why = "the group is full: it may hold 1, as --maxConsumerGroupSize says";
    assert_eq!(answer.body["reason"], why);
    assert_eq!(Bus::of(&redis).members().await?, [member.id()]);

    unregister(&group, &member.id()).await?;
    assert_eq!(register(&group, "b:2").await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn a_body_that_names_no_consumer_is_refused() -> Result<()> {
    let redis = redis().await?;
    let group = group(&redis, &[]).await?;
    let bodies = [
        "",
        "not json",
        "null",
        "[]",
        r#""a:1""#,
        "{}",
        r#"{"consumer":"a:1"}"#,
        r#"{"consumer_id":null}"#,
        r#"{"consumer_id":5001}"#,
        r#"{"consumer_id":["a:1"]}"#,
        r#"{"consumer_id":"a:1"} x"#,
    ];
    for path in CALLS {
        for body in bodies {
            let answer = post_raw(&group, path, Some("application/json"), body).await?;
            expect_refusal(&answer, &format!("{path} {body}"))?;
        }
    }
    assert!(Bus::of(&redis).members().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn an_id_that_is_not_host_and_port_is_refused() -> Result<()> {
    let redis = redis().await?;
    let group = group(&redis, &[]).await?;
    let long = format!("{}:1", "h".repeat(300));
    let ids = [
        "",
        ":",
        "h",
        "h:",
        ":1",
        "h:0",
        "h:65536",
        "h:-1",
        "h:+1",
        "h:1x",
        "h:1/",
        "h/p:1",
        "http://h:1",
        "user@h:1",
        "h h:1",
        "h:1 ",
        "h:1\n",
        "h\r\nX:1",
        "h?:1",
        "h#:1",
        "::1:1",
        "[::1:1",
        "256.1.1.1:1",
        &long,
    ];
    for path in CALLS {
        for id in ids {
            let answer = calls::post(&group, path, &json!({ "consumer_id": id })).await?;
            expect_refusal(&answer, &format!("{path} {id:?}"))?;
        }
    }
    assert!(Bus::of(&redis).members().await?.is_empty());
    for id in [
        "h:1",
        "h.example:65535",
        "a_b-c:80",
        "127.0.0.1:5001",
        "[::1]:5001",
    ] {
        assert_eq!(register(&group, id).await?.status, 200, "{id}");
    }
    Ok(())
}

#[tokio::test]
async fn the_content_type_must_be_json_and_may_have_parameters() -> Result<()> {
    let redis = redis().await?;
    let group = group(&redis, &[]).await?;
    let body = r#"{"consumer_id":"a:1"}"#;
    for path in CALLS {
        for wrong in [
            None,
            Some("text/plain"),
            Some("application/jsonx"),
            Some(""),
        ] {
            let answer = post_raw(&group, path, wrong, body).await?;
            expect_refusal(&answer, &format!("{path} {wrong:?}"))?;
        }
    }
    assert!(Bus::of(&redis).members().await?.is_empty());
    for right in [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON;charset=UTF-8",
    ] {
        let answer = post_raw(&group, "/register", Some(right), body).await?;
        assert_eq!(answer.status, 200, "{right}");
    }
    Ok(())
}

#[tokio::test]
async fn a_body_over_four_kibibytes_is_too_large() -> Result<()> {
    let redis = redis().await?;
    let group = group(&redis, &[]).await?;
    let body = |bytes: usize| {
        let body = r#"{"consumer_id":"a:1"}"#;
        format!("{body}{}", " ".repeat(bytes - body.len()))
    };
    for path in CALLS {
        let answer = post_raw(&group, path, Some("application/json"), body(4097)).await?;
        assert_eq!(answer.status, 413, "{path}");
        answer.error()?;
    }
    let answer = post_raw(&group, "/register", Some("application/json"), body(4096)).await?;
    assert_eq!(answer.status, 200);
    Ok(())
}

#[tokio::test]
async fn without_redis_all_three_calls_fail_with_a_reference_to_the_log() -> Result<()> {
    let mut redis = redis().await?;
    let group = group(&redis, &[]).await?;
    redis.kill().await?;
    for (path, what) in [
        ("/register", "Failed to register consumer!"),
        ("/unregister", "Failed to unregister consumer!"),
        ("/checkMembership", "Failed to check for membership!"),
    ] {
        let answer = calls::post(&group, path, &json!({ "consumer_id": "a:1" })).await?;
        assert_eq!(answer.status, 500, "{path}");
        let line = group
            .wait_for_log(&answer.reference(what)?, PATIENCE)
            .await?;
        assert!(line.contains("Redis"), "{line}");
    }
    redis.start_again().await?;
    wait_until("the group to find Redis again", PATIENCE, async || {
        Ok(register(&group, "a:1").await?.status == 200)
    })
    .await
}

#[tokio::test]
async fn a_frozen_redis_does_not_hold_up_an_answer_for_ever() -> Result<()> {
    let redis = redis().await?;
    let group = group(&redis, &[]).await?;
    redis.freeze()?;
    // Its own time-out for Redis is 2 s; the harness would wait for 30 s.
    let answer = register(&group, "a:1").await;
    redis.thaw()?;
    answer?.reference("Failed to register consumer!")?;
    Ok(())
}

#[tokio::test]
async fn the_group_answers_health_checks_with_and_without_redis() -> Result<()> {
    let mut redis = redis().await?;
    let group = group(&redis, &[]).await?;
    let running = ok("Application is running");
    assert_eq!(calls::get(&group, "/health").await?, running);
    redis.kill().await?;
    assert_eq!(calls::get(&group, "/health").await?, running);
    Ok(())
}

#[tokio::test]
async fn unknown_paths_and_wrong_methods_are_told_in_json() -> Result<()> {
    let redis = redis().await?;
    let group = group(&redis, &[]).await?;
    let consumer = services::consumer(&redis, &group, &[]).await?;
    let expect = async |service: &Service, method: &str, path: &str, status: u16| {
        let answer = calls::call(service, method, path).await?;
        assert_eq!(answer.status, status, "{method} {path}");
        answer.error().map(drop)
    };
    for service in [&group, &consumer] {
        expect(service, "GET", "/no/such/page", 404).await?;
        expect(service, "POST", "/no/such/path", 404).await?;
        expect(service, "POST", "/health", 405).await?;
    }
    for path in CALLS {
        expect(&group, "GET", path, 405).await?;
        expect(&group, "PUT", path, 405).await?;
    }
    expect(&consumer, "GET", "/processMessage", 405).await
}

fn expect_refusal(answer: &Answer, what: &str) -> Result<()> {
    assert_eq!(answer.status, 400, "{what}");
    let start = "Provided data does not match requirements. ";
    assert!(answer.error()?.starts_with(start), "{what}: {answer:?}");
    assert_ne!(answer.body, Value::Null);
    Ok(())
}
