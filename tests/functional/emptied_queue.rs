//! A queue that is emptied, or lost with its Redis, is made anew.

use anyhow::Result;
use harness::{Bus, Ledger, PATIENCE, services, wait_until};

use crate::queue_redis::{replicas, wait_until_healed};

#[tokio::test]
async fn a_redis_that_is_emptied_under_load_heals_and_nothing_ends_twice() -> Result<()> {
    let replicas = replicas(&[]).await?;
    let (bus, mut ledger) = (replicas.bus(), Ledger::default());
    let mut lost = Ledger::default();
    let flush = async {
        wait_until("some to be processed", PATIENCE, async || {
            Ok(bus.finished().await? >= 300)
        })
        .await?;
        bus.command::<()>(&["FLUSHALL"]).await
    };
    let ((), flushed) = tokio::join!(lost.publish_steadily(&bus, 1000, 500), flush);
    flushed?;
    bus.command::<()>(&["FLUSHALL"]).await?;
    wait_until_healed(&replicas, &mut ledger).await?;
    let ids: Vec<_> = (0..500).map(|number| format!("after {number}")).collect();
    bus.publish_ids(&ids).await?;
    expect_after(&bus).await
}

#[tokio::test]
async fn what_waited_in_a_queue_that_was_emptied_is_settled_in_the_next_by_whoever_comes()
-> Result<()> {
    let redis = services::redis().await?;
    let (bus, mut ledger) = (Bus::of(&redis), Ledger::default());
    let group = services::group(&redis, &[]).await?;
    let one_by_one = [
        "--processingConcurrency",
        "1",
        "--processingDelayMs",
        "1000",
    ];
    let slow = services::consumer(&redis, &group, &one_by_one).await?;
    ledger.publish(&bus, 20).await;
    wait_until("some to be processed", PATIENCE, async || {
        Ok(bus.finished().await? >= 1)
    })
    .await?;
    // The next consumer knows nothing of the queue that was.
    drop(slow);
    bus.command::<()>(&["FLUSHALL"]).await?;
    let _next = services::consumer(&redis, &group, &[]).await?;
    let entries = bus.wait_for_processed(15).await?;
    let said = "the queue in Redis is another than before";
    group.wait_for_log(said, PATIENCE).await?;
    assert_eq!(harness::bus::repeated(&entries)?, Vec::<String>::new());
    wait_until("all to be settled", PATIENCE, async || {
        Ok(bus.queue_length().await? == 0)
    })
    .await?;
    // By their positions: none by its id.
    let by_id = ["EXISTS", "{messages:processed}:settled"];
    assert_eq!(bus.command::<u64>(&by_id).await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_redis_that_lost_everything_is_used_anew() -> Result<()> {
    let mut replicas = replicas(&[]).await?;
    let (bus, mut ledger) = (replicas.bus(), Ledger::default());
    Ledger::default().publish(&bus, 500).await;
    replicas.redis.kill().await?;
    replicas.redis.start_again().await?;
    wait_until_healed(&replicas, &mut ledger).await?;
    let ids: Vec<_> = (0..500).map(|number| format!("after {number}")).collect();
    assert_eq!(bus.publish_ids(&ids).await?.len(), 500);
    expect_after(&bus).await
}

/// Waits for the 500 messages whose ids start with "after", and checks that nothing is there twice.
async fn expect_after(bus: &Bus) -> Result<()> {
    wait_until("what came afterwards", PATIENCE, async || {
        let processed = harness::bus::ids(&bus.processed().await?)?;
        let is_new = |id: &&String| id.starts_with("after");
        Ok(processed.iter().filter(is_new).count() >= 500)
    })
    .await?;
    let processed = bus.processed().await?;
    assert_eq!(harness::bus::repeated(&processed)?, Vec::<String>::new());
    Ok(())
}
