//! The account of the durable queue while settled entries are still in it.

use anyhow::Result;
use harness::{
    Auditor, Bus, FakeConsumer, PATIENCE, PrivateRedis, Reply, Service,
    services::{self, redis},
    status::wait_for_status,
    wait_until,
};
use serde_json::json;

use crate::process_message::lonely_consumer;

/// How many messages are settled behind the one that is held up.
const BEHIND: usize = 200;

const QUEUE: &str = "{messages:processed}:queue";
const ACCOUNT: &str = "{messages:processed}:account";

/// A group, and its only consumer, which holds up the first message and processes all others.
struct HeldUp {
    redis: PrivateRedis,
    group: Service,
    _real: Service,
    consumer: FakeConsumer,
}

impl HeldUp {
    async fn start() -> Result<Self> {
        let redis = redis().await?;
        let bus = Bus::of(&redis);
        let args = ["--queue", "stream", "--attemptTimeoutMs", "600000"];
        let group = services::group(&redis, &args).await?;
        let real = lonely_consumer(redis.port(), &[]).await?;
        let consumer = FakeConsumer::join(&group, Reply::Silence).await?;
        bus.publish_id("held up").await?;
        wait_for_status(&group, &json!({ "in_flight": 1 })).await?;
        wait_until("the consumer to have it", PATIENCE, async || {
            Ok(consumer.received()?.len() == 1)
        })
        .await?;
        consumer.answer_messages(Reply::Relayed(real.url("/processMessage")));
        let ids: Vec<_> = (0..BEHIND).map(|number| number.to_string()).collect();
        bus.publish_ids(&ids).await?;
        let settled = json!({ "processed": BEHIND, "in_flight": 1, "queued": 0 });
        wait_for_status(&group, &settled).await?;
        assert_eq!(bus.queue_length().await?, BEHIND + 1, "all are left");
        Ok(Self {
            redis,
            group,
            _real: real,
            consumer,
        })
    }

    /// Lets the first message go, waits until all are settled, and expects that nothing is left of them.
    async fn expect_in_the_end(&self, duplicate: usize) -> Result<()> {
        self.consumer.hang_up();
        let processed = BEHIND + 1;
        let expected = json!({
            "received": processed + duplicate, "processed": processed, "duplicate": duplicate,
            "in_flight": 0, "queued": 0,
        });
        wait_for_status(&self.group, &expected).await?;
        let bus = Bus::of(&self.redis);
        assert_eq!(bus.queue_length().await?, 0);
        assert_eq!(bus.pending().await?, 0);
        assert_eq!(bus.processed().await?.len(), processed);
        let left: u64 = bus.command(&["HGET", ACCOUNT, "left"]).await?;
        assert_eq!(left, 0);
        Ok(())
    }
}

#[tokio::test]
async fn what_is_settled_behind_a_message_counts_at_once_and_goes_with_it() -> Result<()> {
    let held_up = HeldUp::start().await?;
    let auditor = Auditor::of(&[&held_up.group]);
    held_up.expect_in_the_end(0).await?;
    auditor.looks()?;
    Ok(())
}

#[tokio::test]
async fn what_is_handed_out_again_with_a_new_stream_group_counts_as_received_again() -> Result<()> {
    let held_up = HeldUp::start().await?;
    let auditor = Auditor::of(&[&held_up.group]);
    let destroy = ["XGROUP", "DESTROY", QUEUE, "consumer-group"];
    Bus::of(&held_up.redis).command::<u64>(&destroy).await?;
    held_up.expect_in_the_end(BEHIND).await?;
    auditor.looks()?;
    Ok(())
}
