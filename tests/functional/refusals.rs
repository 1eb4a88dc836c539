//! A Redis that is there and refuses, and is brought to reason some seconds later.

use std::{fs, time::Duration};

use anyhow::Result;
use harness::{
    Bus, Ledger, PATIENCE, Stack, StackOptions,
    services::{self, group, redis},
    wait_until,
};
use tokio::time::Instant;

/// How long Redis refuses.
const REFUSED: Duration = Duration::from_secs(3);

/// How soon everything must work again.
const HEALED: Duration = Duration::from_secs(6);

/// How many messages are published before, while and after Redis refuses.
const BURST: usize = 100;

/// Publishes before, during and after; nothing may be lost, given up or written twice. The group must have said
/// `words` meanwhile.
async fn expect_patience(
    stack: &Stack,
    words: &str,
    refuse: impl AsyncFnOnce(&Bus) -> Result<()>,
    relent: impl AsyncFnOnce(&Bus) -> Result<()>,
) -> Result<()> {
    let (bus, mut ledger) = (Bus::of(&stack.redis), Ledger::default());
    ledger.publish(&bus, BURST).await;
    ledger.wait_until_balanced(&bus).await?;
    let (refused, mark) = (Instant::now(), stack.group.log().mark());
    refuse(&bus).await?;
    ledger.publish_steadily(&bus, BURST, 50).await;
    stack.group.wait_for_log(words, PATIENCE).await?;
    tokio::time::sleep_until(refused + REFUSED).await;
    relent(&bus).await?;
    ledger.publish(&bus, BURST).await;
    assert_eq!(ledger.heard(), 3 * BURST, "the group heard all of it");
    let said = stack.group.logs().split_off(mark);
    let interrupted = said.iter().find(|line| line.contains("interrupted"));
    assert_eq!(interrupted, None);
    let account = ledger.wait_until_balanced(&bus).await?;
    assert!(account.failed.is_empty(), "{:?}", account.failed);
    Ok(())
}

async fn expect_patience_with(words: &str, refuse: &[&str], relent: &[&str]) -> Result<()> {
    let stack = Stack::start(StackOptions::default()).await?;
    expect_patience(
        &stack,
        words,
        async |bus| bus.command(refuse).await,
        async |bus| bus.command(relent).await,
    )
    .await
}

#[tokio::test]
async fn a_redis_without_memory_is_waited_for() -> Result<()> {
    let full = ["CONFIG", "SET", "maxmemory", "1"];
    let roomy = ["CONFIG", "SET", "maxmemory", "0"];
    expect_patience_with("OOM", &full, &roomy).await
}

#[tokio::test]
async fn a_redis_without_the_replicas_it_wants_is_waited_for() -> Result<()> {
    let wanting = ["CONFIG", "SET", "min-replicas-to-write", "1"];
    let content = ["CONFIG", "SET", "min-replicas-to-write", "0"];
    expect_patience_with("NOREPLICAS", &wanting, &content).await
}

#[tokio::test]
async fn a_redis_that_was_made_a_replica_is_waited_for() -> Result<()> {
    let demoted = ["REPLICAOF", "127.0.0.1", "1"];
    let promoted = ["REPLICAOF", "NO", "ONE"];
    expect_patience_with("read only replica", &demoted, &promoted).await
}

#[tokio::test]
async fn a_redis_that_cannot_save_is_waited_for() -> Result<()> {
    let stack = Stack::start(StackOptions {
        redis_args: &["--save", "3600 1"],
        ..StackOptions::default()
    })
    .await?;
    // A file cannot take the name of a directory.
    let in_the_way = stack.redis.directory().join("dump.rdb");
    let saved = async |bus: &Bus, status: &str| {
        let expected = format!("rdb_last_bgsave_status:{status}");
        wait_until("Redis to have tried to save", PATIENCE, async || {
            let info: String = bus.command(&["INFO", "persistence"]).await?;
            Ok(info.contains(&expected) && info.contains("rdb_bgsave_in_progress:0"))
        })
        .await
    };
    let save = async |bus: &Bus| bus.command::<String>(&["BGSAVE"]).await.map(drop);
    expect_patience(
        &stack,
        "MISCONF",
        async |bus| {
            fs::create_dir(&in_the_way)?;
            save(bus).await?;
            saved(bus, "err").await
        },
        async |bus| {
            fs::remove_dir(&in_the_way)?;
            save(bus).await?;
            saved(bus, "ok").await
        },
    )
    .await
}

#[tokio::test]
async fn a_stream_whose_name_is_taken_is_waited_for() -> Result<()> {
    let stack = Stack::start(StackOptions::default()).await?;
    let (bus, mut ledger) = (Bus::of(&stack.redis), Ledger::default());
    bus.command::<()>(&["SET", "messages:processed", "x"])
        .await?;
    let refused = Instant::now();
    ledger.publish_steadily(&bus, BURST, 50).await;
    for consumer in &stack.consumers {
        consumer.wait_for_log("WRONGTYPE", PATIENCE).await?;
    }
    tokio::time::sleep_until(refused + REFUSED).await;
    bus.command::<u64>(&["DEL", "messages:processed"]).await?;
    let account = ledger.wait_until_balanced(&bus).await?;
    assert_eq!(account.processed.len(), BURST, "{:?}", account.failed);
    Ok(())
}

#[tokio::test]
async fn scripts_lost_ten_times_a_second_are_no_matter() -> Result<()> {
    let stack = Stack::start(StackOptions {
        consumer_args: &["--registrationCheckIntervalSeconds", "1"],
        ..StackOptions::default()
    })
    .await?;
    let (bus, mut ledger) = (Bus::of(&stack.redis), Ledger::default());
    let flush = async {
        let mut tenth = tokio::time::interval(Duration::from_millis(100));
        loop {
            tenth.tick().await;
            if let Err(error) = bus.command::<()>(&["SCRIPT", "FLUSH", "SYNC"]).await {
                return error;
            }
        }
    };
    let publish = async {
        ledger.publish_steadily(&bus, 2000, 1000).await;
        for number in 0..20 {
            let id = format!("h:{}", 1 + number % 2);
            let answer = harness::calls::register(&stack.group, &id).await?;
            assert_eq!(answer.status, 200, "{answer:?}");
            harness::calls::unregister(&stack.group, &id).await?;
        }
        ledger.wait_until_balanced(&bus).await
    };
    let account = tokio::select! {
        account = publish => account?,
        error = flush => return Err(error),
    };
    assert_eq!(account.processed.len(), 2000, "{:?}", account.failed);
    Ok(())
}

#[tokio::test]
async fn a_password_that_is_wrong_for_a_while_is_tried_again() -> Result<()> {
    let redis = redis().await?;
    let before = Bus::of(&redis);
    before
        .command::<()>(&["CONFIG", "SET", "requirepass", "old"])
        .await?;
    let url = |password: &str| format!("redis://:{password}@127.0.0.1:{}", redis.port());
    let (old, new) = (Bus::at(&url("old")), Bus::at(&url("new")));
    let url = url("old");
    let args = ["--redisUrl", &url];
    let group = group(&redis, &args).await?;
    let _consumer = services::consumer(&redis, &group, &args).await?;
    let mut ledger = Ledger::default();
    ledger.publish(&old, BURST).await;
    ledger.wait_until_balanced(&old).await?;

    let mark = group.log().mark();
    old.command::<()>(&["CONFIG", "SET", "requirepass", "new"])
        .await?;
    ledger.publish(&new, BURST).await;
    // Whoever has logged in stays; now everybody must log in again.
    for kind in ["normal", "pubsub"] {
        new.command::<()>(&["CLIENT", "KILL", "TYPE", kind]).await?;
    }
    let (log, words) = (group.log(), "WRONGPASS");
    log.wait_for_since(mark, words, PATIENCE).await?;
    ledger.publish(&new, BURST).await;
    assert_eq!(ledger.heard(), 2 * BURST, "nobody is let in");
    new.command::<()>(&["CONFIG", "SET", "requirepass", "old"])
        .await?;
    ledger.wait_until_it_works(&old, HEALED).await?;
    ledger.publish(&old, BURST).await;
    ledger.wait_until_balanced(&old).await?;
    Ok(())
}
