//! Bad requests of workers that fetch: each gets a clear answer, and nothing is lost.

use anyhow::Result;
use harness::{calls::post, services::wait_for_account};
use serde_json::{Value, json};

use crate::leases::{Scene, lease, settle};

/// A path, a body, and what the answer names.
type BadRequest = ((&'static str, Value), &'static str);

/// Requests for messages that are none.
fn bad_leases() -> Vec<BadRequest> {
    let lease = |body| ("/messages/lease", body);
    vec![
        (lease(json!({})), "consumer_id"),
        (lease(json!({ "consumer_id": "a b" })), "`consumer_id`"),
        (
            lease(json!({ "consumer_id": "x".repeat(129) })),
            "`consumer_id`",
        ),
        (
            lease(json!({ "consumer_id": "a", "max_messages": 0 })),
            "`max_messages`",
        ),
        (
            lease(json!({ "consumer_id": "a", "max_messages": 1e9 })),
            "`max_messages`",
        ),
        (
            lease(json!({ "consumer_id": "a", "wait_seconds": -1 })),
            "`wait_seconds`",
        ),
        (
            lease(json!({ "consumer_id": "a", "lease_seconds": 0 })),
            "`lease_seconds`",
        ),
        (
            lease(json!({ "consumer_id": "a", "leas_seconds": 5 })),
            "leas_seconds",
        ),
    ]
}

/// The same about a message that was fetched.
fn bad_settlements(token: &str) -> Vec<BadRequest> {
    let settle = |outcome: Value| ("/messages/settle", json!({ "outcomes": [outcome] }));
    vec![
        (("/messages/settle", json!({})), "outcomes"),
        (
            ("/messages/settle", json!({ "outcomes": 7 })),
            "invalid type",
        ),
        (settle(json!({ "entry": {} })), "lease"),
        (settle(json!({ "lease": "x" })), "this is no lease"),
        (settle(json!({ "lease": token, "entry": 7 })), "`entry`"),
        (
            settle(json!({ "lease": token, "retry_after": -1 })),
            "`retry_after`",
        ),
        (
            settle(json!({ "lease": token, "error": {} })),
            "invalid type",
        ),
        (settle(json!({ "lease": token, "entrys": {} })), "entrys"),
        (settle(json!({ "lease": token, "status": 99 })), "`status`"),
        (
            settle(json!({ "lease": token, "status": "200" })),
            "`status`",
        ),
        (
            ("/messages/extend", json!({ "leases": [token, "y"] })),
            "this is no lease",
        ),
        (
            (
                "/messages/extend",
                json!({ "leases": [token], "lease_seconds": 1e9 }),
            ),
            "`lease_seconds`",
        ),
    ]
}

#[tokio::test]
async fn what_is_wrong_is_named_and_changes_nothing() -> Result<()> {
    let scene = Scene::with(&[]).await?;
    scene.publish(1).await?;
    let fetched = lease(&scene.group, "a", 1, 60.0).await?;
    let (token, _) = &fetched[0];
    let foreign = "0000000000000000-1-0-0-0000000000000000";
    for ((path, body), named) in [bad_leases(), bad_settlements(token)].concat() {
        let answer = post(&scene.group, path, &body).await?;
        assert_eq!(answer.status, 400, "{path} {body}: {answer:?}");
        let error = answer.body["error"].as_str().unwrap_or_default();
        assert!(error.contains(named), "{path} {body}: {error}");
    }
    let many: Vec<_> = (0..1001).map(|_| json!({ "lease": token })).collect();
    let answer = post(
        &scene.group,
        "/messages/settle",
        &json!({ "outcomes": many }),
    )
    .await?;
    assert_eq!(answer.status, 400, "{answer:?}");
    let huge = json!({ "outcomes": [{ "lease": token, "error": "x".repeat(17 << 20) }] });
    let answer = post(&scene.group, "/messages/settle", &huge).await?;
    assert_eq!(answer.status, 413, "{answer:?}");
    let not_ours = vec![(foreign.to_owned(), json!(null))];
    assert_eq!(settle(&scene.group, &not_ours, &json!({})).await?, [409]);
    // Another number is another's lease.
    let (start, _) = token.rsplit_once('-').unwrap_or_default();
    let forged = vec![(format!("{start}-0123456789abcdef"), json!(null))];
    assert_eq!(settle(&scene.group, &forged, &json!({})).await?, [409]);
    assert_eq!(
        settle(&scene.group, &fetched, &json!({ "entry": { "x": 1 } })).await?,
        [200]
    );
    wait_for_account(&scene.group, 1, 0).await?;
    assert_eq!(scene.bus.processed().await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn an_entry_that_cannot_be_recorded_is_the_failure_of_the_worker() -> Result<()> {
    let scene = Scene::with(&["--maxAttempts", "1"]).await?;
    scene.publish(2).await?;
    let many: serde_json::Map<_, _> = (0..4000).map(|n| (n.to_string(), json!(n))).collect();
    for entry in [json!(many), json!({ "text": "x".repeat(1 << 20) })] {
        let fetched = lease(&scene.group, "a", 1, 60.0).await?;
        assert_eq!(
            settle(&scene.group, &fetched, &json!({ "entry": entry })).await?,
            [422]
        );
    }
    wait_for_account(&scene.group, 0, 2).await?;
    for letter in scene.bus.failed().await? {
        let error = letter.text("last_error")?;
        assert!(error.contains("cannot be recorded"), "{error}");
    }
    Ok(())
}
