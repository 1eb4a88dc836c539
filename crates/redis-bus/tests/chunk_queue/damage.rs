//! What others do to the keys.

use anyhow::Result;
use redis_bus::chunk_queue::{ChunkReader, Outcome, QueueError};

use crate::scene::{ACCOUNT, ID_LOG, QUEUE, Scene, position};

#[tokio::test]
async fn keys_of_an_older_design_are_left_alone_and_the_error_says_what_to_do() -> Result<()> {
    let scene = Scene::start().await?;
    scene.command::<()>(&["FLUSHALL"]).await?;
    scene
        .command::<u64>(&["HSET", ACCOUNT, "received", "3"])
        .await?;
    let error = scene.queue.open().await.unwrap_err();
    assert!(matches!(error, QueueError::Older { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains(ACCOUNT) && text.contains(QUEUE), "{text}");
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_logged_is_not_admitted() -> Result<()> {
    let scene = Scene::start().await?;
    scene.command::<()>(&["SET", ID_LOG, "no stream"]).await?;
    assert!(scene.admit(&["a"]).await.is_err());
    assert_eq!(scene.account().await?.received, 0);
    assert_eq!(scene.command::<usize>(&["XLEN", QUEUE]).await?, 0);
    scene.command::<()>(&["DEL", ID_LOG]).await?;
    scene.next_millisecond().await?;
    scene.admit(&["a"]).await?;
    Ok(())
}

#[tokio::test]
async fn a_queue_that_is_deleted_is_made_anew_and_goes_on() -> Result<()> {
    let scene = Scene::start().await?;
    let lost = scene.admit(&["a", "b"]).await?;
    scene.command::<u64>(&["DEL", QUEUE]).await?;
    scene.queue.open().await?;
    assert_eq!(scene.account().await?.received, 0, "they are gone");
    let chunk = scene.admit_and_hand_out(&["c"]).await?;
    assert!(chunk > lost);
    scene.commit(chunk, &[0]).await?;
    scene.expect_empty().await
}

#[tokio::test]
async fn an_account_that_is_deleted_makes_another_queue_whose_chunks_have_new_ids() -> Result<()> {
    let scene = Scene::start().await?;
    let before = scene.admit(&["a"]).await?;
    scene.command::<u64>(&["DEL", ACCOUNT]).await?;
    let (identity, last) = scene.queue.open().await?;
    assert_ne!(identity, scene.identity);
    assert_eq!(last, before.entry());
    Ok(())
}

#[tokio::test]
async fn an_entry_written_by_hand_is_a_malformed_message() -> Result<()> {
    let scene = Scene::start().await?;
    scene
        .command::<String>(&["XADD", QUEUE, "1-512", "anything", "at all"])
        .await?;
    let mut reader = ChunkReader::new(scene.queue.clone());
    let mut chunks = Vec::new();
    while chunks.is_empty() {
        chunks = reader.next(1000).await?;
    }
    assert_eq!(chunks[0].messages, ["at all"]);
    scene.commit(chunks[0].lease.chunk(), &[0]).await?;
    assert_eq!(scene.command::<usize>(&["XLEN", QUEUE]).await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_redis_without_memory_admits_nothing_and_settles_what_it_has() -> Result<()> {
    let scene = Scene::start().await?;
    let chunk = scene.admit_and_hand_out(&["a", "b"]).await?;
    scene
        .command::<()>(&["CONFIG", "SET", "maxmemory", "1"])
        .await?;
    assert!(scene.admit(&["c"]).await.is_err());
    assert!(scene.commit(chunk, &[0]).await.is_err());
    let positions = [position(chunk, 1)?];
    let settled = scene
        .queue
        .settle(&scene.identity, Outcome::Processed, &positions)
        .await;
    assert!(settled.iter().all(Result::is_ok), "{settled:?}");
    scene
        .command::<()>(&["CONFIG", "SET", "maxmemory", "0"])
        .await?;
    scene.commit(chunk, &[0]).await?;
    scene.expect_empty().await
}
