//! Received = processed + dead-lettered, whoever dies on the way.

use anyhow::Result;
use harness::{Bus, Ledger, PATIENCE, Stack, StackOptions, wait_until};

#[tokio::test]
async fn a_consumer_killed_half_way_through_5000_messages_loses_none() -> Result<()> {
    let mut stack = Stack::start(StackOptions {
        consumers: 3,
        ..StackOptions::default()
    })
    .await?;
    let (bus, mut ledger) = (Bus::of(&stack.redis), Ledger::default());
    let kill = async {
        wait_until("half of the messages", PATIENCE, async || {
            Ok(bus.finished().await? >= 2500)
        })
        .await?;
        stack.consumers[0].kill().await
    };
    let ((), killed) = tokio::join!(ledger.publish_steadily(&bus, 5000, 1000), kill);
    killed?;
    assert_eq!(ledger.heard(), 5000);
    let account = ledger.wait_until_settled(&bus).await?;
    assert_eq!(account.processed.len(), 5000, "{:?}", account.failed);
    Ok(())
}

#[tokio::test]
async fn consumers_that_come_and_go_lose_nothing() -> Result<()> {
    let mut stack = Stack::start(StackOptions {
        consumers: 3,
        consumer_args: &["--processingDelayMs", "20"],
        ..StackOptions::default()
    })
    .await?;
    let binaries = harness::services::binaries().await?;
    let (bus, mut ledger) = (Bus::of(&stack.redis), Ledger::default());
    let come_and_go = async {
        for _ in 0..3 {
            let done = bus.finished().await?;
            wait_until("some more messages", PATIENCE, async || {
                Ok(bus.finished().await? >= done + 200)
            })
            .await?;
            let mut leaving = stack.consumers.remove(0);
            assert_eq!(leaving.terminate(PATIENCE).await?.code(), Some(0));
            stack.add_consumer(binaries, &[]).await?;
        }
        anyhow::Ok(())
    };
    let ((), done) = tokio::join!(ledger.publish_steadily(&bus, 2000, 400), come_and_go);
    done?;
    assert_eq!(ledger.heard(), 2000);
    let account = ledger.wait_until_settled(&bus).await?;
    assert_eq!(account.processed.len(), 2000, "{:?}", account.failed);
    let entries = bus.processed().await?.len();
    assert_eq!(
        entries, 2000,
        "consumers that leave in order repeat nothing"
    );
    Ok(())
}

#[tokio::test]
async fn a_burst_is_processed_whole() -> Result<()> {
    let stack = Stack::start(StackOptions::default()).await?;
    let (bus, mut ledger) = (Bus::of(&stack.redis), Ledger::default());
    ledger.publish(&bus, 10_000).await;
    assert_eq!(ledger.heard(), 10_000);
    // So many take a while on a machine that does much else.
    wait_until("all to have ended", 4 * PATIENCE, async || {
        Ok(bus.finished().await? == 10_000)
    })
    .await?;
    let account = ledger.wait_until_settled(&bus).await?;
    assert_eq!(account.processed.len(), 10_000, "{:?}", account.failed);
    assert_eq!(bus.processed().await?.len(), 10_000, "each once");
    Ok(())
}
