//! Messages whose chunk the queue has lost are admitted again, each once.

use std::time::Duration;

use anyhow::Result;
use protocol::{ChunkId, Message};
use redis_bus::chunk_queue::ChunkReader;

use crate::scene::{ID_LOG, QUEUE, Scene, message};

const WINDOW: Duration = Duration::from_secs(600);

fn messages(ids: &[&str]) -> Result<Vec<Message>> {
    ids.iter()
        .map(|id| Ok(Message::parse(message(id))?))
        .collect()
}

/// Takes a chunk away, as a failover does that loses the end.
async fn lose(scene: &Scene, chunk: ChunkId) -> Result<()> {
    for key in [QUEUE, ID_LOG] {
        scene
            .command::<u64>(&["XDEL", key, &chunk.to_string()])
            .await?;
    }
    Ok(())
}

async fn read_all(scene: &Scene) -> Result<Vec<bytes::Bytes>> {
    let mut reader = ChunkReader::new(scene.queue.clone());
    scene.queue.open().await?;
    let mut messages = Vec::new();
    loop {
        let chunks = reader.next(1000).await?;
        if chunks.is_empty() {
            return Ok(messages);
        }
        messages.extend(chunks.into_iter().flat_map(|chunk| chunk.messages));
    }
}

#[tokio::test]
async fn of_what_is_lost_only_that_is_admitted_which_nobody_admitted_since() -> Result<()> {
    let scene = Scene::start().await?;
    scene.admit(&["before"]).await?;
    let lost = scene.admit(&["a", "b", "c"]).await?;
    lose(&scene, lost).await?;
    // More than one page of the log, with one of the lost ones near its end.
    for number in 0..70 {
        scene.admit(&[&number.to_string()]).await?;
    }
    scene.admit(&["b", "after"]).await?;
    let messages = messages(&["a", "b", "c"])?;
    assert_eq!(scene.queue.offer_again(&messages, WINDOW).await?, 2);
    assert_eq!(scene.queue.offer_again(&messages, WINDOW).await?, 0);
    let read = read_all(&scene).await?;
    for id in ["a", "b", "c"] {
        let count = read.iter().filter(|body| **body == message(id)).count();
        assert_eq!(count, 1, "{id}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_lost_with_everything_makes_the_queue_anew() -> Result<()> {
    let scene = Scene::start().await?;
    scene.admit(&["a", "b"]).await?;
    scene.command::<()>(&["FLUSHALL"]).await?;
    let messages = messages(&["a", "b"])?;
    assert_eq!(scene.queue.offer_again(&messages, WINDOW).await?, 2);
    assert_eq!(read_all(&scene).await?, ["a", "b"].map(message));
    Ok(())
}

#[tokio::test]
async fn of_two_that_offer_the_same_again_at_once_one_admits_each() -> Result<()> {
    let scene = Scene::start().await?;
    let ids: Vec<_> = (0..600).map(|number| number.to_string()).collect();
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    let messages = messages(&ids)?;
    let (one, other) = tokio::join!(
        scene.queue.offer_again(&messages, WINDOW),
        scene.queue.offer_again(&messages, WINDOW),
    );
    assert_eq!(one? + other?, 600);
    assert_eq!(read_all(&scene).await?.len(), 600);
    Ok(())
}

#[tokio::test]
async fn without_a_window_all_that_is_lost_is_admitted() -> Result<()> {
    let scene = Scene::start().await?;
    scene.admit(&["a"]).await?;
    let messages = messages(&["a"])?;
    assert_eq!(scene.queue.offer_again(&messages, Duration::ZERO).await?, 1);
    Ok(())
}
