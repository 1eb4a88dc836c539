//! How much an entry of `messages:processed` may hold.

use anyhow::Result;
use harness::{
    Bus,
    services::{consumer, consumer_without_group, group, redis},
    status::wait_for_status,
};
use serde_json::json;

/// The most fields of an entry (`redis_bus::commit::MAX_FIELDS`), as the README says.
const MAX_FIELDS: usize = 3_900;

/// Those that are not the message's properties: `message_id`, `consumer_id`, `processed_at`, and the one that
/// the sample processor adds.
const OTHER_FIELDS: usize = 4;

fn with_properties(count: usize) -> String {
    let properties: String = (0..count).map(|n| format!(r#","p{n}":{n}"#)).collect();
    format!(r#"{{"message_id":"{count}"{properties}}}"#)
}

/// Publishes messages just below, at and above the limit, and says what became of them.
async fn expect_the_limit(intake: &str) -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (group(&redis, &[]).await?, Bus::of(&redis));
    let _consumer = match intake {
        "push" => consumer(&redis, &group, &[]).await?,
        _ => consumer_without_group(&redis, 1, &["--intake", intake]).await?,
    };
    let most = MAX_FIELDS - OTHER_FIELDS;
    for count in most - 1..=most + 4 {
        bus.publish(with_properties(count)).await?;
    }
    let fill = "x".repeat(900_000);
    let large = json!({ "message_id": "large", "traceparent": &fill[..65_536], "fill": fill });
    bus.publish(large.to_string()).await?;
    let processed = bus.wait_for_processed(3).await?;
    for entry in &processed {
        let id = entry.text("message_id")?;
        match id.parse::<usize>() {
            Ok(count) => assert_eq!(
                entry.text(&format!("p{}", count - 1))?,
                (count - 1).to_string()
            ),
            Err(_) => assert_eq!(entry.text("fill")?, fill),
        }
    }
    let failed = bus.wait_for_failed(4).await?;
    for entry in &failed {
        let count: usize = entry.text("message_id")?.parse()?;
        assert!(count > most, "{count}");
        assert_eq!(entry.text("reason")?, "rejected");
        let (error, fields) = (entry.text("last_error")?, count + OTHER_FIELDS);
        assert!(error.contains(&format!("{fields} fields")), "{error}");
        assert!(error.contains(&MAX_FIELDS.to_string()), "{error}");
    }
    wait_for_status(
        &group,
        &json!({ "received": 7, "processed": 3, "dead_lettered": 4 }),
    )
    .await
}

#[tokio::test]
async fn a_message_with_more_properties_than_an_entry_may_have_is_told_how_many() -> Result<()> {
    expect_the_limit("push").await
}

#[tokio::test]
async fn so_it_is_where_consumers_pull() -> Result<()> {
    expect_the_limit("pull").await
}
