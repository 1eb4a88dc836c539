//! No process that is killed, stopped or frozen takes a message with it.

use std::time::{Duration, Instant};

use anyhow::Result;
use harness::{
    Bus, FakeConsumer, Ledger, PATIENCE, ReplicaOptions, Replicas, Reply, Signal,
    replicas::wait_until_each_is_processed_once,
    services::{self, group, redis, wait_until_joined},
    status::wait_for_status,
    wait_until,
};
use serde_json::json;

use crate::process_message::lonely_consumer;

const QUEUE: &str = "{messages:processed}:queue";

/// How soon nothing is left with a dead replica.
const TAKEN_OVER: Duration = Duration::from_secs(40);

/// How long an entry is idle before another reader takes it over, unless it was given back.
const RECLAIM_IDLE: Duration = Duration::from_secs(15);

/// How long a replica is frozen: longer than that.
const FROZEN: Duration = Duration::from_secs(20);

/// Two replicas whose consumers take a while, so that messages are under way at any time.
async fn replicas() -> Result<Replicas> {
    Replicas::start(ReplicaOptions {
        consumer_args: &["--processingDelayMs", "20"],
        ..ReplicaOptions::default()
    })
    .await
}

async fn wait_for_finished(bus: &Bus, count: usize) -> Result<()> {
    wait_until("some messages to be finished", PATIENCE, async || {
        Ok(bus.finished().await? >= count)
    })
    .await
}

/// How many have read the queue and not taken leave.
async fn readers(bus: &Bus) -> Result<usize> {
    let script = "return #redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])";
    bus.command(&["EVAL", script, "1", QUEUE, "consumer-group"])
        .await
}

#[tokio::test]
async fn a_replica_killed_under_load_takes_no_message_with_it() -> Result<()> {
    let mut replicas = replicas().await?;
    let (bus, mut ledger) = (replicas.bus(), Ledger::default());
    let auditor = replicas.audit();
    let kill = async {
        wait_for_finished(&bus, 500).await?;
        replicas.groups[0].kill().await
    };
    let ((), killed) = tokio::join!(ledger.publish_steadily(&bus, 2000, 500), kill);
    killed?;
    let since = Instant::now();
    assert_eq!(ledger.heard(), 2000);
    wait_until_each_is_processed_once(&bus, &ledger).await?;
    wait_until("nothing to be pending", TAKEN_OVER, async || {
        Ok(bus.pending().await? == 0)
    })
    .await?;
    assert!(since.elapsed() < TAKEN_OVER);
    auditor.looks()?;
    Ok(())
}

#[tokio::test]
async fn the_only_replica_killed_while_messages_wait_delivers_them_after_its_return() -> Result<()>
{
    let redis = redis().await?;
    let bus = Bus::of(&redis);
    let mut ledger = Ledger::default();
    let mut first = group(&redis, &[]).await?;
    ledger.publish(&bus, 1000).await;
    wait_for_status(&first, &json!({ "queued": 1000, "buffered": 0 })).await?;
    first.kill().await?;
    let group = group(&redis, &[]).await?;
    let _consumer = services::consumer(&redis, &group, &[]).await?;
    wait_until_each_is_processed_once(&bus, &ledger).await?;
    let expected = json!({ "received": 1000, "processed": 1000, "in_flight": 0, "queued": 0 });
    wait_for_status(&group, &expected).await
}

#[tokio::test]
async fn the_only_replica_killed_with_messages_in_hand_delivers_them_after_its_return() -> Result<()>
{
    let redis = redis().await?;
    let bus = Bus::of(&redis);
    let mut ledger = Ledger::default();
    let mut first = group(&redis, &[]).await?;
    let consumer = services::consumer(&redis, &first, &["--processingDelayMs", "50"]).await?;
    ledger.publish(&bus, 1000).await;
    wait_for_finished(&bus, 100).await?;
    first.kill().await?;
    assert!(bus.age_pending().await? > 0);
    let group = group(&redis, &[]).await?;
    wait_until_joined(&group, &services::id_of(&consumer)?).await?;
    wait_until_each_is_processed_once(&bus, &ledger).await?;
    let said = "took over messages that were handed out before";
    group.wait_for_log(said, PATIENCE).await?;
    Ok(())
}

#[tokio::test]
async fn a_replica_that_is_stopped_gives_back_at_once_what_it_holds() -> Result<()> {
    let redis = redis().await?;
    let bus = Bus::of(&redis);
    let args = ["--attemptTimeoutMs", "60000", "--shutdownGraceSeconds", "1"];
    let mut leaving = group(&redis, &args).await?;
    let real = lonely_consumer(redis.port(), &[]).await?;
    let consumer = FakeConsumer::join(&leaving, Reply::Silence).await?;
    let mut ledger = Ledger::default();
    ledger.publish(&bus, 200).await;
    wait_for_status(&leaving, &json!({ "in_flight": 200, "queued": 0 })).await?;
    wait_until("some to be under way", PATIENCE, async || {
        Ok(!consumer.received()?.is_empty())
    })
    .await?;
    let staying = group(&redis, &args).await?;
    wait_until_joined(&staying, &consumer.id()).await?;
    consumer.answer_messages(Reply::Relayed(real.url("/processMessage")));
    assert_eq!(leaving.terminate(PATIENCE).await?.code(), Some(0));
    let since = Instant::now();
    wait_until_each_is_processed_once(&bus, &ledger).await?;
    let took = since.elapsed();
    assert!(took < RECLAIM_IDLE / 2, "it took {took:?}");
    wait_for_status(&staying, &json!({ "processed": 200, "in_flight": 0 })).await
}

#[tokio::test]
async fn what_a_stopped_replica_never_tried_does_not_count_as_delivered() -> Result<()> {
    let redis = redis().await?;
    let bus = Bus::of(&redis);
    let args = [
        "--attemptTimeoutMs",
        "60000",
        "--shutdownGraceSeconds",
        "1",
        "--maxDeliveries",
        "1",
        "--maxInFlightPerConsumer",
        "1",
    ];
    let consumer = FakeConsumer::start(Reply::Silence).await?;
    let mut ledger = Ledger::default();
    let mut first = group(&redis, &args).await?;
    consumer.register_with(&first).await?;
    ledger.publish(&bus, 50).await;
    wait_for_status(&first, &json!({ "in_flight": 50 })).await?;
    assert_eq!(first.terminate(PATIENCE).await?.code(), Some(0));
    let tried = consumer.received()?;
    assert_eq!(tried.len(), 1);
    let real = lonely_consumer(redis.port(), &[]).await?;
    consumer.answer_messages(Reply::Relayed(real.url("/processMessage")));
    let group = group(&redis, &args).await?;
    let expected = json!({ "processed": 49, "dead_lettered": 1, "in_flight": 0 });
    wait_for_status(&group, &expected).await?;
    let failed = bus.failed().await?;
    assert_eq!(harness::bus::ids(&failed)?, tried);
    assert_eq!(failed[0].text("reason")?, "deliveries_exhausted");
    Ok(())
}

#[tokio::test]
async fn a_replica_stopped_under_load_ends_in_order_and_leaves_no_reader() -> Result<()> {
    let mut replicas = replicas().await?;
    let (bus, mut ledger) = (replicas.bus(), Ledger::default());
    let auditor = replicas.audit();
    let stop = async {
        wait_for_finished(&bus, 300).await?;
        assert_eq!(readers(&bus).await?, 2);
        replicas.groups[0].terminate(PATIENCE).await
    };
    let ((), status) = tokio::join!(ledger.publish_steadily(&bus, 1500, 500), stop);
    assert_eq!(status?.code(), Some(0));
    assert_eq!(ledger.heard(), 1500);
    wait_until_each_is_processed_once(&bus, &ledger).await?;
    assert_eq!(readers(&bus).await?, 1);
    auditor.looks()?;
    Ok(())
}

#[tokio::test]
async fn a_replica_frozen_for_long_does_no_harm_when_it_wakes() -> Result<()> {
    let replicas = replicas().await?;
    let (bus, mut ledger) = (replicas.bus(), Ledger::default());
    let auditor = replicas.audit();
    let freeze = async {
        wait_for_finished(&bus, 200).await?;
        replicas.groups[0].signal(Signal::SIGSTOP)?;
        tokio::time::sleep(FROZEN).await;
        let what = "the other to take over what the frozen one holds";
        wait_until(what, PATIENCE, async || Ok(bus.queue_length().await? == 0)).await?;
        replicas.groups[0].signal(Signal::SIGCONT)
    };
    let ((), frozen) = tokio::join!(ledger.publish_steadily(&bus, 1000, 500), freeze);
    frozen?;
    ledger.publish(&bus, 500).await;
    assert_eq!(ledger.heard(), 1500);
    wait_until_each_is_processed_once(&bus, &ledger).await?;
    let expected = json!({
        "received": 3000, "processed": 1500, "duplicate": 1500, "in_flight": 0, "queued": 0,
    });
    for group in &replicas.groups {
        wait_for_status(group, &expected).await?;
    }
    auditor.looks()?;
    Ok(())
}
