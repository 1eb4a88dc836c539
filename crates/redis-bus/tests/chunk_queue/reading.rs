//! Every chunk is handed to one reader, and what a reader leaves goes to another.

use anyhow::Result;
use local_stack::redis;
use protocol::ChunkId;
use redis_bus::chunk_queue::{ChunkReader, ReadChunk};
use tokio::task::JoinSet;

use crate::scene::{ACCOUNT, QUEUE, READER, Scene, admission, appended, message};

/// Reads until there are so many chunks.
async fn read(reader: &mut ChunkReader, chunks: usize) -> Result<Vec<ReadChunk>> {
    let mut read = Vec::new();
    while read.len() < chunks {
        read.extend(reader.next(1000).await?);
    }
    Ok(read)
}

/// Makes Redis think that a reader has given no sign of life for long.
async fn age(scene: &Scene, reader: &str, chunk: &str) -> Result<()> {
    let command = [
        "XCLAIM",
        QUEUE,
        "consumer-group",
        reader,
        "0",
        chunk,
        "IDLE",
        "60000",
        "JUSTID",
    ];
    scene.command::<Vec<String>>(&command).await?;
    Ok(())
}

#[tokio::test]
async fn a_reader_reads_what_nobody_was_handed_and_the_account_knows() -> Result<()> {
    let scene = Scene::start().await?;
    scene.admit_and_hand_out(&["a"]).await?;
    let waiting = [scene.admit(&["b", "c"]).await?, scene.admit(&["d"]).await?];
    let mut reader = ChunkReader::new(scene.queue.clone());
    let chunks = read(&mut reader, 2).await?;
    assert_eq!(
        chunks
            .iter()
            .map(|chunk| chunk.lease.chunk())
            .collect::<Vec<_>>(),
        waiting
    );
    assert_eq!(chunks[0].messages, ["b", "c"].map(message));
    assert_eq!((chunks[0].deliveries, chunks[0].settled.len()), (1, 0));
    assert!(reader.next(1000).await?.is_empty());
    let account = scene.account().await?;
    assert_eq!((account.in_flight, account.waiting), (4, 0));
    Ok(())
}

#[tokio::test]
async fn what_a_reader_does_not_keep_alive_goes_to_another_with_what_is_settled_of_it() -> Result<()>
{
    let scene = Scene::start().await?;
    let chunk = scene.admit_and_hand_out(&["a", "b", "c"]).await?;
    scene.commit(chunk, &[1]).await?;
    age(&scene, READER, &chunk.to_string()).await?;
    let mut reader = ChunkReader::new(scene.queue.clone());
    let chunks = read(&mut reader, 1).await?;
    assert_eq!(chunks[0].deliveries, 2);
    assert_eq!(chunks[0].settled.iter().collect::<Vec<_>>(), [1]);
    scene.commit(chunk, &[0, 2]).await?;
    scene.expect_empty().await
}

#[tokio::test]
async fn what_is_held_is_kept_alive_and_what_is_given_back_goes_to_another_at_once() -> Result<()> {
    let scene = Scene::start().await?;
    scene.admit(&["a"]).await?;
    let mut reader = ChunkReader::new(scene.queue.clone());
    let held = read(&mut reader, 1).await?;
    let chunk = held[0].lease.chunk().to_string();
    age(&scene, reader.name(), &chunk).await?;
    let leases = reader.leases().clone();
    let mut keeping = JoinSet::new();
    keeping.spawn(async move { leases.keep().await });
    // The first sign of life is given at once.
    loop {
        let pending: Vec<(String, String, u64, u64)> = scene
            .command(&["XPENDING", QUEUE, "consumer-group", "-", "+", "1"])
            .await?;
        if pending[0].2 < 15_000 {
            break;
        }
    }
    let mut other = ChunkReader::new(scene.queue.clone());
    assert!(other.next(1000).await?.is_empty());
    keeping.shutdown().await;
    reader.leases().leave().await?;
    drop(held);
    let taken = read(&mut other, 1).await?;
    assert_eq!(taken[0].lease.chunk().to_string(), chunk);
    Ok(())
}

#[tokio::test]
async fn a_stream_group_that_is_destroyed_hands_out_anew_only_what_is_not_settled() -> Result<()> {
    let scene = Scene::start().await?;
    let partly = scene.admit_and_hand_out(&["a", "b"]).await?;
    let whole = scene.admit_and_hand_out(&["c"]).await?;
    scene.commit(partly, &[0]).await?;
    scene.commit(whole, &[0]).await?;
    scene
        .command::<u64>(&["XGROUP", "DESTROY", QUEUE, "consumer-group"])
        .await?;
    let mut reader = ChunkReader::new(scene.queue.clone());
    assert!(reader.next(1000).await?.is_empty());
    assert_eq!(scene.account().await?.waiting, 1);
    let chunks = read(&mut reader, 1).await?;
    assert_eq!(chunks[0].queue, scene.identity);
    assert_eq!(chunks[0].lease.chunk(), partly);
    assert_eq!(chunks[0].settled.iter().collect::<Vec<_>>(), [0]);
    assert_eq!(scene.account().await?.in_flight, 1);
    scene.commit(partly, &[0, 1]).await?;
    scene.expect_empty().await
}

#[tokio::test]
async fn a_queue_made_anew_by_others_is_read_at_once() -> Result<()> {
    let mut scene = Scene::start().await?;
    scene.admit(&["a"]).await?;
    let mut reader = ChunkReader::new(scene.queue.clone());
    drop(read(&mut reader, 1).await?);
    scene.command::<()>(&["FLUSHALL"]).await?;
    let (identity, _) = scene.queue.open().await?;
    scene.identity = identity.clone();
    let chunk = scene.admit(&["b"]).await?;
    let chunks = reader.next(1000).await?;
    let read: Vec<_> = chunks
        .iter()
        .map(|read| (&read.queue, read.lease.chunk()))
        .collect();
    assert_eq!(read, [(&identity, chunk)]);
    assert_eq!(scene.account().await?.in_flight, 1);
    Ok(())
}

#[tokio::test]
async fn a_count_that_a_dead_reader_left_too_high_is_put_right() -> Result<()> {
    let scene = Scene::start().await?;
    scene.admit(&["a"]).await?;
    // Read by one that ends before it takes note of it.
    let command = [
        "XREADGROUP",
        "GROUP",
        "consumer-group",
        READER,
        "STREAMS",
        QUEUE,
        ">",
    ];
    scene.command::<redis::Value>(&command).await?;
    assert_eq!(scene.account().await?.waiting, 0);
    scene.admit_and_hand_out(&["b"]).await?;
    Ok(())
}

#[tokio::test]
async fn a_count_that_is_too_low_lets_no_chunk_be_passed_over() -> Result<()> {
    let scene = Scene::start().await?;
    let waiting = scene.admit(&["a"]).await?;
    // As after a reader has taken note of a chunk twice.
    let command = ["HINCRBY", ACCOUNT, "waiting", "-1"];
    scene.command::<i64>(&command).await?;
    let admission = admission(Some(READER));
    let next = scene.offer_as(&admission, &["b"], waiting.entry()).await?;
    let next = appended(next)?;
    let mut reader = ChunkReader::new(scene.queue.clone());
    assert_eq!(read_once(&mut reader).await?, [waiting]);
    assert_eq!(read_once(&mut reader).await?, [next]);
    // From here on it is right.
    assert_eq!(scene.account().await?.waiting, 0);
    scene.admit_and_hand_out(&["c"]).await?;
    Ok(())
}

#[tokio::test]
async fn a_queue_without_an_account_hands_out_what_waited_before_it_was_made_anew() -> Result<()> {
    let mut scene = Scene::start().await?;
    let waiting = scene.admit(&["a"]).await?;
    scene.command::<u64>(&["DEL", ACCOUNT]).await?;
    let (identity, last) = scene.queue.open().await?;
    scene.identity = identity;
    let admission = admission(Some(READER));
    appended(scene.offer_as(&admission, &["b"], last).await?)?;
    let mut reader = ChunkReader::new(scene.queue.clone());
    assert_eq!(read_once(&mut reader).await?, [waiting]);
    Ok(())
}

/// The chunks of one read; none if none came within its time.
async fn read_once(reader: &mut ChunkReader) -> Result<Vec<ChunkId>> {
    let read = reader.next(2).await?;
    Ok(read.iter().map(|read| read.lease.chunk()).collect())
}
