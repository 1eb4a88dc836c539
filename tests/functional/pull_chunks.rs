//! Consumers that pull from the queue: each message has one outcome, whatever becomes of them.

use anyhow::{Result, ensure};
use harness::{
    Bus, Chunks, PATIENCE, PrivateRedis, Service,
    bus::{message, repeated},
    services::{binaries, consumer_without_group, redis},
    wait_until,
};

use crate::pull_poison::{Begun, obedient, order};

const QUEUE: &str = "{messages:processed}:queue";
const ID_LOG: &str = "{messages:processed}:ids";
const ACCOUNT: &str = "{messages:processed}:account";

/// A consumer that pulls.
pub(crate) async fn puller(redis: &PrivateRedis, args: &[&str]) -> Result<Service> {
    consumer_without_group(redis, 1, &[&["--intake", "pull"], args].concat()).await
}

pub(crate) fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

/// Waits until so many messages are entries, and no message is twice.
async fn wait_for_entries(bus: &Bus, count: usize) -> Result<()> {
    let processed = bus.wait_for_processed(count).await?;
    ensure!(processed.len() == count, "{} entries", processed.len());
    ensure!(repeated(&processed)?.is_empty());
    Ok(())
}

#[tokio::test]
async fn each_message_is_recorded_once_by_whichever_consumer_was_handed_it() -> Result<()> {
    let redis = redis().await?;
    let (chunks, bus) = (Chunks::of(&redis)?, Bus::of(&redis));
    let slow = ["--processingConcurrency", "4", "--processingDelayMs", "2"];
    let consumers = [puller(&redis, &slow).await?, puller(&redis, &slow).await?];
    let mut admitted = 0;
    for size in [1, 2, 300, 1, 500, 50, 7] {
        chunks
            .admit_ids(&numbers(admitted..admitted + size))
            .await?;
        admitted += size;
    }
    chunks.wait_for(u64::try_from(admitted)?, 0).await?;
    wait_for_entries(&bus, admitted).await?;
    let entries = bus.processed().await?;
    for consumer in &consumers {
        let id = consumer.consumer_id().unwrap_or_default();
        let own = entries
            .iter()
            .filter(|entry| entry.text("consumer_id").is_ok_and(|of| of == id));
        assert!(own.count() > 0, "{id} had none");
    }
    Ok(())
}

#[tokio::test]
async fn a_consumer_holds_no_more_than_it_works_on_and_others_have_the_rest() -> Result<()> {
    let redis = redis().await?;
    let (chunks, bus) = (Chunks::of(&redis)?, Bus::of(&redis));
    let _busy = puller(
        &redis,
        &[
            "--processingConcurrency",
            "2",
            "--processingDelayMs",
            "600000",
        ],
    )
    .await?;
    for number in numbers(0..10) {
        chunks.admit_ids(&[number]).await?;
    }
    wait_until("it to have begun two", PATIENCE, async || {
        Ok(bus.pending().await? == 2)
    })
    .await?;
    let _free = puller(&redis, &[]).await?;
    wait_for_entries(&bus, 8).await?;
    assert_eq!(bus.pending().await?, 2);
    Ok(())
}

#[tokio::test]
async fn what_is_no_message_or_no_entry_is_a_dead_letter_and_the_rest_is_processed() -> Result<()> {
    let redis = redis().await?;
    let chunks = Chunks::of(&redis)?;
    let _consumer = puller(&redis, &[]).await?;
    let properties: String = (0..3900).map(|n| format!(r#","p{n}":{n}"#)).collect();
    let wide = format!(r#"{{"message_id":"wide"{properties}}}"#);
    chunks
        .admit(&[message("a"), "not json".to_owned(), wide, message("b")])
        .await?;
    chunks.wait_for(2, 2).await?;
    wait_for_entries(&Bus::of(&redis), 2).await?;
    let mut letters = Vec::new();
    for letter in chunks.failed().await? {
        letters.push((letter.text("reason")?, letter.text("last_error")?));
    }
    letters.sort();
    assert_eq!((&*letters[0].0, &*letters[1].0), ("not_json", "rejected"));
    assert!(letters[1].1.contains("3900"), "{letters:?}");
    Ok(())
}

#[tokio::test]
async fn what_fails_is_tried_again_and_given_up_in_the_end_and_nothing_else_is() -> Result<()> {
    let redis = redis().await?;
    let chunks = Chunks::of(&redis)?;
    let worker = obedient(&redis, &["--maxDeliveries", "2"], &[]).await?;
    let mut messages: Vec<_> = numbers(0..20).iter().map(|id| message(id)).collect();
    messages.insert(7, order("fails", "fail"));
    messages.insert(3, order("panics", "panic"));
    chunks.admit(&messages).await?;
    chunks.wait_for(20, 2).await?;
    for letter in chunks.failed().await? {
        assert_eq!(letter.text("reason")?, "attempts_exhausted");
        assert_eq!(letter.text("attempts")?, "2");
    }
    let mut begun = Begun::default();
    begun.add(&worker);
    assert_eq!((begun.times("fails"), begun.times("panics")), (2, 2));
    assert!(numbers(0..20).iter().all(|id| begun.times(id) == 1));
    wait_for_entries(&Bus::of(&redis), 20).await
}

#[tokio::test]
async fn what_a_killed_consumer_held_another_processes() -> Result<()> {
    let redis = redis().await?;
    let (chunks, bus) = (Chunks::of(&redis)?, Bus::of(&redis));
    let mut killed = puller(&redis, &["--processingDelayMs", "600000"]).await?;
    chunks.admit_ids(&numbers(0..100)).await?;
    wait_until("it to be handed out", PATIENCE, async || {
        Ok(bus.pending().await? > 0)
    })
    .await?;
    killed.kill().await?;
    bus.age_pending().await?;
    let _other = puller(&redis, &[]).await?;
    chunks.wait_for(100, 0).await?;
    wait_for_entries(&bus, 100).await
}

#[tokio::test]
async fn a_consumer_that_is_told_to_end_finishes_what_it_began_and_gives_back_the_rest()
-> Result<()> {
    let redis = redis().await?;
    let (chunks, bus) = (Chunks::of(&redis)?, Bus::of(&redis));
    // What is given back was not tried, and must not count as if it was.
    let args = ["--maxDeliveries", "1", "--processingConcurrency", "1"];
    let slow = [&args[..], &["--processingDelayMs", "300"]].concat();
    let mut ending = puller(&redis, &slow).await?;
    chunks.admit_ids(&numbers(0..100)).await?;
    bus.wait_for_processed(2).await?;
    assert_eq!(ending.terminate(PATIENCE).await?.code(), Some(0));
    let account = chunks.account().await?;
    assert!((2..10).contains(&account.processed), "{account:?}");
    let _other = puller(&redis, &args).await?;
    chunks.wait_for(100, 0).await?;
    wait_for_entries(&bus, 100).await
}

#[tokio::test]
async fn a_consumer_that_has_nothing_left_leaves_no_reader() -> Result<()> {
    let redis = redis().await?;
    let (chunks, bus) = (Chunks::of(&redis)?, Bus::of(&redis));
    let mut consumer = puller(&redis, &[]).await?;
    chunks.admit_ids(&numbers(0..10)).await?;
    chunks.wait_for(10, 0).await?;
    assert_eq!(consumer.terminate(PATIENCE).await?.code(), Some(0));
    let readers: u64 = bus
        .command(&[
            "EVAL",
            "return #redis.call('XINFO', 'CONSUMERS', KEYS[1], 'consumer-group')",
            "1",
            QUEUE,
        ])
        .await?;
    assert_eq!(readers, 0);
    Ok(())
}

#[tokio::test]
async fn messages_of_many_chunks_are_one_batch_for_a_processor_that_takes_them_whole() -> Result<()>
{
    let redis = redis().await?;
    let chunks = Chunks::of(&redis)?;
    for number in numbers(0..200) {
        chunks.admit_ids(&[number]).await?;
    }
    chunks.admit_ids(&numbers(200..700)).await?;
    chunks
        .admit(&[message("700"), order("fails", "fail")])
        .await?;
    let args = ["--processingConcurrency", "1", "--maxDeliveries", "2"];
    let worker = obedient(&redis, &args, &[("WHOLE_BATCHES", "1")]).await?;
    chunks.wait_for(701, 1).await?;
    wait_for_entries(&Bus::of(&redis), 701).await?;
    let lines = worker.logs();
    let sizes = lines.iter().filter_map(|line| line.strip_prefix("batch "));
    let sizes: Vec<usize> = sizes.map(str::parse).collect::<Result<_, _>>()?;
    assert!(sizes.len() < 30, "{sizes:?}");
    assert!(sizes.iter().all(|size| *size <= 512), "{sizes:?}");
    Ok(())
}

#[tokio::test]
async fn what_the_queue_lost_while_it_was_processed_is_admitted_and_recorded_again() -> Result<()> {
    for has_lost_all in [false, true] {
        let redis = redis().await?;
        let (chunks, bus) = (Chunks::of(&redis)?, Bus::of(&redis));
        let _consumer = puller(&redis, &["--processingDelayMs", "1000"]).await?;
        let chunk = chunks.admit_ids(&numbers(0..20)).await?.to_string();
        wait_until("it to be handed out", PATIENCE, async || {
            Ok(bus.pending().await? > 0)
        })
        .await?;
        if has_lost_all {
            bus.command::<()>(&["FLUSHALL"]).await?;
        } else {
            // As a failover does that loses the end; somebody else has brought one of them again since.
            bus.command::<u64>(&["XACK", QUEUE, "consumer-group", &chunk])
                .await?;
            for key in [QUEUE, ID_LOG] {
                bus.command::<u64>(&["XDEL", key, &chunk]).await?;
            }
            bus.command::<i64>(&["HINCRBY", ACCOUNT, "received", "-20"])
                .await?;
            chunks.admit_ids(&numbers(7..8)).await?;
        }
        chunks.wait_for(20, 0).await?;
        wait_for_entries(&bus, 20).await?;
    }
    Ok(())
}

#[tokio::test]
async fn keys_of_an_older_version_are_told_and_left_alone_until_they_are_gone() -> Result<()> {
    let redis = redis().await?;
    let (chunks, bus) = (Chunks::of(&redis)?, Bus::of(&redis));
    bus.command::<u64>(&["HSET", ACCOUNT, "received", "7"])
        .await?;
    let consumer = puller(&redis, &[]).await?;
    let line = consumer
        .wait_for_log("made by an older version", PATIENCE)
        .await?;
    assert!(line.contains(&format!("delete {ACCOUNT}")), "{line}");
    let kept: Vec<String> = bus.command(&["HGETALL", ACCOUNT]).await?;
    assert_eq!(kept, ["received", "7"]);
    bus.command::<u64>(&["DEL", ACCOUNT]).await?;
    chunks.admit_ids(&numbers(0..3)).await?;
    chunks.wait_for(3, 0).await
}

#[tokio::test]
async fn a_queue_that_is_deleted_is_made_anew_and_read_on() -> Result<()> {
    let redis = redis().await?;
    let (chunks, bus) = (Chunks::of(&redis)?, Bus::of(&redis));
    let _consumer = puller(&redis, &[]).await?;
    for round in 0..3 {
        chunks.admit_ids(&numbers(0..50)).await?;
        chunks.wait_for(50, 0).await?;
        wait_for_entries(&bus, 50).await?;
        if round == 0 {
            bus.command::<()>(&["FLUSHALL"]).await?;
        } else {
            bus.command::<u64>(&["UNLINK", QUEUE, ID_LOG, ACCOUNT, "messages:processed"])
                .await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn over_silent_connections_all_that_comes_is_recorded() -> Result<()> {
    let redis = redis().await?;
    let (chunks, bus) = (Chunks::of(&redis)?, Bus::of(&redis));
    let proxy = harness::FaultProxy::start(&format!("127.0.0.1:{}", redis.port())).await?;
    let port = proxy.port().to_string();
    let args = [
        "--restApiPort",
        "0",
        "--redisServerPort",
        &port,
        "--intake",
        "pull",
    ];
    let _consumer = Service::start(&binaries().await?.consumer, &args, &[]).await?;
    chunks.admit_ids(&numbers(0..1)).await?;
    wait_for_entries(&bus, 1).await?;
    proxy.break_open(harness::Break::Hang);
    chunks.admit_ids(&numbers(1..20)).await?;
    wait_for_entries(&bus, 20).await?;
    assert!(chunks.failed().await?.is_empty());
    Ok(())
}
