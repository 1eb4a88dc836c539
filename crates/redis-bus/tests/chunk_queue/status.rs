//! What the queue tells of itself.

use std::time::Duration;

use anyhow::{Context, Result};
use local_stack::redis;
use protocol::keys::beside;
use redis_bus::{chunk_queue::ChunkReader, probe::Probe};

use crate::scene::{
    ACCOUNT, FAILED, ID_LOG, PROGRESS, QUEUE, READER, STREAM, Scene, connection_to,
};

#[tokio::test]
async fn the_oldest_message_has_waited_since_it_was_admitted_also_when_it_was_handed_out()
-> Result<()> {
    let scene = Scene::start().await?;
    assert_eq!(scene.queue.oldest_age().await?, None);
    let oldest = scene.admit(&["a", "b"]).await?;
    scene.admit(&["c"]).await?;
    let since = |now: u64| Duration::from_millis(now - oldest.entry().millis());
    for _ in 0..2 {
        let earliest = since(scene.queue.now().await?);
        let age = scene.queue.oldest_age().await?.context("it is empty")?;
        let latest = since(scene.queue.now().await?);
        assert!((earliest..=latest).contains(&age), "{age:?}");
        // Then as one that a reader holds, and a part of which is settled.
        ChunkReader::new(scene.queue.clone()).next(1000).await?;
        scene.commit(oldest, &[0]).await?;
    }
    scene.commit(oldest, &[1]).await?;
    let next = scene.queue.oldest_age().await?.context("it is empty")?;
    assert!(next <= since(scene.queue.now().await?));
    Ok(())
}

#[tokio::test]
async fn readers_are_told_with_the_messages_they_hold_those_that_asked_last_first() -> Result<()> {
    let scene = Scene::start().await?;
    let chunk = scene.admit_and_hand_out(&["a"; 300]).await?;
    scene.admit_and_hand_out(&["b", "c"]).await?;
    scene.commit(chunk, &[0, 7, 8, 299]).await?;
    scene.admit(&["d"]).await?;
    // One that asks later.
    let mut later = ChunkReader::new(scene.queue.clone());
    while scene.queue.readers(9).await?[0].idle == Duration::ZERO {}
    assert_eq!(later.next(1000).await?.len(), 1);
    let readers = scene.queue.readers(9).await?;
    let told: Vec<_> = readers
        .iter()
        .map(|reader| (&*reader.name, reader.pending))
        .collect();
    assert_eq!(told, [(later.name(), 1), (READER, 298)]);
    let first = scene.queue.readers(1).await?;
    assert_eq!((first.len(), &*first[0].name), (1, later.name()));
    Ok(())
}

#[tokio::test]
async fn a_queue_that_is_not_there_is_empty_and_has_no_readers() -> Result<()> {
    let scene = Scene::start().await?;
    for command in [
        &["XGROUP", "DESTROY", QUEUE, "consumer-group"][..],
        &["FLUSHALL"],
    ] {
        scene.command::<redis::Value>(command).await?;
        assert_eq!(scene.queue.readers(9).await?, []);
        assert_eq!(scene.queue.oldest_age().await?, None);
    }
    Ok(())
}

#[tokio::test]
async fn a_probe_finds_any_key_that_the_queue_could_not_write() -> Result<()> {
    let scene = Scene::start().await?;
    let connection = connection_to(scene.redis.port())?;
    // Each remembers its answer for a second.
    let probe = || Probe::new(connection.clone(), scene.queue.needs());
    assert_eq!(probe().trouble().await, None);
    for key in [QUEUE, ID_LOG, PROGRESS, ACCOUNT, STREAM, FAILED] {
        scene.command::<()>(&["SET", key, "text"]).await?;
        let trouble = probe().trouble().await.context("no trouble")?;
        assert!(trouble.contains(&format!("WRONGTYPE {key}")), "{trouble}");
        scene.command::<u64>(&["DEL", key]).await?;
    }
    Ok(())
}

#[test]
fn no_key_of_the_queue_is_one_that_settings_may_name() {
    let taken = beside(STREAM);
    for key in [QUEUE, ID_LOG, PROGRESS, ACCOUNT, FAILED] {
        assert!(taken.iter().any(|taken| taken == key), "{key}");
    }
}
