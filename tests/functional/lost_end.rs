//! A failover that loses the end of the queue, and its log of ids, turns no message into a duplicate.

use std::sync::{
    Arc,
    atomic::{AtomicU16, Ordering},
};

use anyhow::{Context, Result};
use harness::{Bus, Chunks, FakeServer, PATIENCE, Reply, Stack, StackOptions, calls, wait_until};

const QUEUE: &str = "{messages:processed}:queue";
const ID_LOG: &str = "{messages:processed}:ids";
const ACCOUNT: &str = "{messages:processed}:account";
const GROUP: &str = "consumer-group";

#[tokio::test]
async fn a_message_whose_chunk_was_lost_is_offered_again_though_others_were_admitted_since()
-> Result<()> {
    let stack = Stack::start(StackOptions {
        consumers: 0,
        ..StackOptions::default()
    })
    .await?;
    let (bus, chunks) = (Bus::of(&stack.redis), Chunks::of(&stack.redis)?);
    let status = Arc::new(AtomicU16::new(503));
    let answered = Arc::clone(&status);
    let consumer = FakeServer::start(move |request| match request.path.as_str() {
        "/health" => Reply::status(200),
        "/processMessage" => {
            let status = answered.load(Ordering::SeqCst);
            if status == 412 {
                // Once only: after that it knows the position.
                answered.store(200, Ordering::SeqCst);
            }
            Reply::status(status)
        }
        _ => Reply::status(404),
    })
    .await?;
    let joined = calls::register(&stack.group, &consumer.address()).await?;
    assert_eq!(joined.status, 200, "{joined:?}");
    bus.publish_id("lost").await?;
    wait_until("the message to be tried", PATIENCE, async || {
        Ok(!consumer.requests("/processMessage").is_empty())
    })
    .await?;

    // The server that takes over never had the chunk, and another replica has admitted one since.
    let entries: Vec<(String, Vec<String>)> = bus.command(&["XRANGE", QUEUE, "-", "+"]).await?;
    let (chunk, _) = entries.first().context("there is no chunk")?;
    bus.command::<u64>(&["XACK", QUEUE, GROUP, chunk]).await?;
    for key in [QUEUE, ID_LOG] {
        bus.command::<u64>(&["XDEL", key, chunk]).await?;
    }
    let (time, _) = chunk.split_once('-').context("no id of a chunk")?;
    let later = format!("{}-512", time.parse::<u64>()? + 1);
    let fingerprint = "another message.";
    bus.command::<String>(&["XADD", ID_LOG, &later, "ids", fingerprint])
        .await?;
    bus.command::<u64>(&["HSET", ACCOUNT, "last", &later, "received", "0"])
        .await?;
    status.store(412, Ordering::SeqCst);

    chunks.wait_for(1, 0).await?;
    assert_eq!(chunks.account().await?.duplicate, 0);
    Ok(())
}
