//! The queue when its Redis is restarted, frozen or meddled with.

use std::time::Duration;

use anyhow::Result;
use harness::{
    Bus, Ledger, PATIENCE, ReplicaOptions, Replicas, SlowLine,
    calls::post,
    replicas::{wait_until_each_ended_once, wait_until_each_is_processed_once},
    services::{self, wait_for_members},
    wait_until,
};
use serde_json::json;

const QUEUE: &str = "{messages:processed}:queue";

/// How soon everything must work again.
const HEALED: Duration = Duration::from_secs(15);

/// How long Redis is frozen.
const FROZEN: Duration = Duration::from_secs(10);

pub(crate) async fn replicas(redis_args: &[&str]) -> Result<Replicas> {
    Replicas::start(ReplicaOptions {
        redis_args,
        ..ReplicaOptions::default()
    })
    .await
}

/// Waits until the consumers are registered again and everything works.
pub(crate) async fn wait_until_healed(replicas: &Replicas, ledger: &mut Ledger) -> Result<()> {
    let bus = replicas.bus();
    let ids = replicas
        .consumers
        .iter()
        .filter_map(|consumer| consumer.consumer_id());
    wait_for_members(&bus, &ids.collect::<Vec<_>>()).await?;
    ledger.wait_until_it_works(&bus, HEALED).await
}

#[tokio::test]
async fn a_redis_killed_and_started_again_with_its_log_loses_nothing() -> Result<()> {
    let mut replicas = replicas(&["--appendonly", "yes", "--appendfsync", "always"]).await?;
    let (bus, mut ledger) = (replicas.bus(), Ledger::default());
    ledger.publish(&bus, 2000).await;
    wait_until("all to be in the queue", PATIENCE, async || {
        Ok(bus.finished().await? + bus.queue_length().await? >= 2000)
    })
    .await?;
    replicas.redis.kill().await?;
    replicas.redis.start_again().await?;
    wait_until_healed(&replicas, &mut ledger).await?;
    ledger.publish(&bus, 200).await;
    wait_until_each_is_processed_once(&bus, &ledger).await?;
    Ok(())
}

#[tokio::test]
async fn a_redis_killed_again_and_again_under_load_loses_nothing_that_was_heard() -> Result<()> {
    let mut replicas = replicas(&["--appendonly", "yes", "--appendfsync", "always"]).await?;
    let (bus, mut ledger) = (replicas.bus(), Ledger::default());
    let auditor = replicas.audit();
    let kill = async {
        for count in [200, 400, 600] {
            wait_until("some to be processed", PATIENCE, async || {
                Ok(bus.finished().await.unwrap_or_default() >= count)
            })
            .await?;
            replicas.redis.kill().await?;
            replicas.redis.start_again().await?;
        }
        anyhow::Ok(())
    };
    let ((), killed) = tokio::join!(ledger.publish_steadily(&bus, 3000, 500), kill);
    killed?;
    wait_until_healed(&replicas, &mut ledger).await?;
    wait_until_each_is_processed_once(&bus, &ledger).await?;
    auditor.looks()?;
    Ok(())
}

#[tokio::test]
async fn after_a_freeze_of_redis_no_message_is_lost_and_none_ends_twice() -> Result<()> {
    let replicas = replicas(&[]).await?;
    let (bus, mut ledger) = (replicas.bus(), Ledger::default());
    let auditor = replicas.audit();
    ledger.publish(&bus, 1000).await;
    replicas.redis.freeze()?;
    tokio::time::sleep(FROZEN).await;
    replicas.redis.thaw()?;
    ledger.wait_until_it_works(&bus, HEALED).await?;
    ledger.publish(&bus, 200).await;
    wait_until_each_ended_once(&bus, &ledger).await?;
    auditor.looks()?;
    Ok(())
}

#[tokio::test]
async fn scripts_that_are_forgotten_all_the_time_do_no_harm() -> Result<()> {
    let replicas = replicas(&[]).await?;
    let (bus, mut ledger) = (replicas.bus(), Ledger::default());
    let auditor = replicas.audit();
    let mut beat = tokio::time::interval(Duration::from_millis(50));
    let flush = async {
        loop {
            beat.tick().await;
            let flushed = bus.command::<()>(&["SCRIPT", "FLUSH", "SYNC"]).await;
            if let Err(cause) = flushed {
                break cause;
            }
        }
    };
    tokio::select! {
        () = ledger.publish_steadily(&bus, 2000, 500) => {}
        cause = flush => return Err(cause),
    }
    assert_eq!(ledger.heard(), 2000);
    wait_until_each_is_processed_once(&bus, &ledger).await?;
    auditor.looks()?;
    Ok(())
}

/// Does something to the queue while it is empty and read, and expects it to work as before.
async fn expect_healing_after(command: &[&str]) -> Result<()> {
    let replicas = replicas(&[]).await?;
    let (bus, mut ledger) = (replicas.bus(), Ledger::default());
    ledger.publish(&bus, 100).await;
    wait_until_each_is_processed_once(&bus, &ledger).await?;
    bus.command::<u64>(command).await?;
    ledger.publish(&bus, 500).await;
    wait_until_each_is_processed_once(&bus, &ledger).await?;
    for group in &replicas.groups {
        let log = group.logs().join("\n");
        assert!(!log.contains("panicked"), "{log}");
    }
    Ok(())
}

#[tokio::test]
async fn a_queue_that_is_deleted_is_made_anew() -> Result<()> {
    expect_healing_after(&["DEL", QUEUE]).await
}

#[tokio::test]
async fn a_stream_group_that_is_destroyed_is_made_anew() -> Result<()> {
    expect_healing_after(&["XGROUP", "DESTROY", QUEUE, "consumer-group"]).await
}

#[tokio::test]
async fn a_stream_group_destroyed_under_load_loses_nothing_and_repeats_nothing() -> Result<()> {
    let replicas = replicas(&[]).await?;
    let (bus, mut ledger) = (replicas.bus(), Ledger::default());
    let destroy = async {
        for count in [200, 400, 600] {
            wait_until("some to be processed", PATIENCE, async || {
                Ok(bus.finished().await? >= count)
            })
            .await?;
            let destroy = ["XGROUP", "DESTROY", QUEUE, "consumer-group"];
            bus.command::<u64>(&destroy).await?;
        }
        anyhow::Ok(())
    };
    let ((), destroyed) = tokio::join!(ledger.publish_steadily(&bus, 1500, 500), destroy);
    destroyed?;
    assert_eq!(ledger.heard(), 1500);
    wait_until_each_is_processed_once(&bus, &ledger).await
}

#[tokio::test]
async fn a_redis_out_of_memory_holds_messages_up_and_loses_none() -> Result<()> {
    let replicas = replicas(&[]).await?;
    let (bus, mut ledger) = (replicas.bus(), Ledger::default());
    let auditor = replicas.audit();
    bus.command::<()>(&["CONFIG", "SET", "maxmemory", "1"])
        .await?;
    ledger.publish(&bus, 300).await;
    assert_eq!(ledger.heard(), 300);
    for group in &replicas.groups {
        group
            .wait_for_log("cannot bring messages to the queue", PATIENCE)
            .await?;
    }
    bus.command::<()>(&["CONFIG", "SET", "maxmemory", "0"])
        .await?;
    wait_until_each_is_processed_once(&bus, &ledger).await?;
    auditor.looks()?;
    Ok(())
}

#[tokio::test]
async fn killed_connections_lose_nothing_and_repeat_nothing() -> Result<()> {
    let replicas = replicas(&[]).await?;
    let bus = replicas.bus();
    let mut ledger = Ledger::default();
    let cut = async {
        for count in [200, 500, 800] {
            wait_until("some to be processed", PATIENCE, async || {
                Ok(bus.finished().await? >= count)
            })
            .await?;
            let kill = ["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"];
            // The publisher's own connection may be among them: it publishes anew then.
            bus.command::<u64>(&kill).await?;
        }
        anyhow::Ok(())
    };
    let ((), cut) = tokio::join!(ledger.publish_steadily(&bus, 1500, 500), cut);
    cut?;
    wait_until_each_is_processed_once(&bus, &ledger).await
}

#[tokio::test]
async fn large_messages_are_delivered_over_a_slow_line_to_redis() -> Result<()> {
    let redis = services::redis().await?;
    let bus = Bus::of(&redis);
    // All of them at once take longer than Redis is given for an answer.
    let line = SlowLine::to(redis.port(), 3_000_000).await?;
    let url = format!("redis://127.0.0.1:{}", line.port());
    let quick = services::group(&redis, &[]).await?;
    let fill = "x".repeat(1_000_000);
    for number in 0..10 {
        let message = json!({ "message_id": number.to_string(), "fill": fill });
        assert_eq!(post(&quick, "/messages", &message).await?.status, 202);
    }
    drop(quick);
    let slow = services::group(&redis, &["--redisUrl", &url]).await?;
    let consumer = services::consumer(&redis, &slow, &[]).await?;
    let entries = bus.wait_for_processed(10).await?;
    assert_eq!(harness::bus::repeated(&entries)?, Vec::<String>::new());
    assert!(bus.failed().await?.is_empty());
    drop(consumer);
    Ok(())
}
