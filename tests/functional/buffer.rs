//! The bounds of what the group holds, and what becomes of the surplus.

use anyhow::Result;
use harness::{
    Bus, FakeConsumer, PATIENCE, Reply, bus,
    services::{group, redis, wait_for_account},
    wait_until,
};

/// Publishes ten messages that fit and seven that do not, then lets a consumer take those that did.
async fn expect_surplus_of_seven(args: &[&str], payload: impl Fn(usize) -> String) -> Result<()> {
    let redis = redis().await?;
    let (group, bus) = (group(&redis, args).await?, Bus::of(&redis));
    for number in 0..17 {
        bus.publish(payload(number)).await?;
    }
    let failed = bus.wait_for_failed(7).await?;
    let surplus: Vec<_> = (10..17).map(|number| number.to_string()).collect();
    assert_eq!(bus::ids(&failed)?, surplus);
    for (number, entry) in (10..).zip(&failed) {
        assert_eq!(entry.text("reason")?, "buffer_full");
        assert_eq!(entry.text("attempts")?, "0");
        assert_eq!(entry.text("payload")?, payload(number), "whole");
    }
    let consumer = FakeConsumer::join(&group, Reply::status(200)).await?;
    wait_until("what was held to be delivered", PATIENCE, async || {
        Ok(consumer.received()?.len() == 10)
    })
    .await?;
    wait_for_account(&group, 10, 7).await?;
    assert_eq!(bus.failed().await?.len(), 7);

    bus.publish(payload(17)).await?;
    wait_until("there to be room again", PATIENCE, async || {
        Ok(consumer.received()?.contains(&"17".to_owned()))
    })
    .await
}

#[tokio::test]
async fn what_exceeds_the_bound_in_messages_goes_whole_to_the_dead_letters() -> Result<()> {
    let payload = |number: usize| {
        let fill = "x".repeat(3000);
        format!(r#"{{"message_id":"{number}","fill":"{fill}"}}"#)
    };
    expect_surplus_of_seven(&["--maxBufferedMessages", "10"], payload).await
}

#[tokio::test]
async fn what_exceeds_the_bound_in_bytes_goes_whole_to_the_dead_letters() -> Result<()> {
    // Each of 1,000 bytes, of which ten fit.
    let payload = |number: usize| {
        let message = |fill: &str| format!(r#"{{"message_id":"{number}","fill":"{fill}"}}"#);
        message(&"x".repeat(1000 - message("").len()))
    };
    expect_surplus_of_seven(&["--maxBufferedBytes", "10999"], payload).await
}
