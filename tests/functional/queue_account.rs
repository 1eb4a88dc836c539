//! The account while the first message is in the hands of one that left, and all behind it are settled.

use anyhow::Result;
use harness::{
    Auditor, Bus, FakeConsumer, PATIENCE, PrivateRedis, Reply, Service, calls,
    services::{self, redis, wait_until_joined, wait_until_left},
    status::wait_for_status,
    wait_until,
};
use serde_json::json;

/// How many messages are settled behind the one that is held up.
const BEHIND: usize = 200;

const QUEUE: &str = "{messages:processed}:queue";

/// A group, a consumer that leaves it with the first message in hand, and one that processes all others.
struct HeldUp {
    redis: PrivateRedis,
    group: Service,
    holder: FakeConsumer,
    _consumer: Service,
}

impl HeldUp {
    async fn start() -> Result<Self> {
        let redis = redis().await?;
        let bus = Bus::of(&redis);
        let args = ["--attemptTimeoutMs", "600000"];
        let group = services::group(&redis, &args).await?;
        let holder = FakeConsumer::join(&group, Reply::Silence).await?;
        bus.publish_id("held up").await?;
        wait_for_status(&group, &json!({ "in_flight": 1 })).await?;
        wait_until("the consumer to have it", PATIENCE, async || {
            Ok(holder.received()?.len() == 1)
        })
        .await?;
        // It is given no more, and finishes what it has.
        calls::unregister(&group, &holder.id()).await?;
        wait_until_left(&group, &holder.id()).await?;
        let consumer = services::consumer(&redis, &group, &[]).await?;
        wait_until_joined(&group, &services::id_of(&consumer)?).await?;
        let ids: Vec<_> = (0..BEHIND).map(|number| number.to_string()).collect();
        bus.publish_ids(&ids).await?;
        let settled = json!({ "processed": BEHIND, "in_flight": 1, "queued": 0 });
        wait_for_status(&group, &settled).await?;
        assert_eq!(bus.queue_length().await?, 1);
        Ok(Self {
            redis,
            group,
            holder,
            _consumer: consumer,
        })
    }

    /// Lets the first message go, waits until all are settled, and expects that nothing is left of them.
    async fn expect_in_the_end(&self) -> Result<()> {
        self.holder.hang_up();
        let processed = BEHIND + 1;
        let expected = json!({
            "received": processed, "processed": processed, "duplicate": 0,
            "in_flight": 0, "queued": 0,
        });
        wait_for_status(&self.group, &expected).await?;
        let bus = Bus::of(&self.redis);
        assert_eq!(bus.queue_length().await?, 0);
        assert_eq!(bus.pending().await?, 0);
        assert_eq!(bus.processed().await?.len(), processed);
        Ok(())
    }
}

#[tokio::test]
async fn what_is_settled_behind_a_message_counts_at_once() -> Result<()> {
    let held_up = HeldUp::start().await?;
    let auditor = Auditor::of(&[&held_up.group]);
    held_up.expect_in_the_end().await?;
    auditor.looks()?;
    Ok(())
}

#[tokio::test]
async fn a_new_stream_group_hands_out_again_what_is_left_and_counts_nothing_twice() -> Result<()> {
    let held_up = HeldUp::start().await?;
    let auditor = Auditor::of(&[&held_up.group]);
    let destroy = ["XGROUP", "DESTROY", QUEUE, "consumer-group"];
    Bus::of(&held_up.redis).command::<u64>(&destroy).await?;
    held_up.expect_in_the_end().await?;
    auditor.looks()?;
    Ok(())
}
