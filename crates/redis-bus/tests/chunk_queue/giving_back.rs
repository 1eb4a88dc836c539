//! What a reader gives back goes to another, or to itself, and counts as handed out as often as it says.

use std::time::Duration;

use anyhow::{Context, Result};
use redis_bus::chunk_queue::{ChunkReader, ReadChunk};
use tokio::time::Instant;

use crate::scene::Scene;

async fn read_one(reader: &mut ChunkReader) -> Result<ReadChunk> {
    loop {
        let mut chunks = reader.next(1000).await?;
        if !chunks.is_empty() {
            assert_eq!(chunks.len(), 1);
            return chunks.pop().context("there was one");
        }
    }
}

#[tokio::test]
async fn what_failed_comes_again_after_its_wait_and_once_more_counted() -> Result<()> {
    let scene = Scene::start().await?;
    let chunk = scene.admit(&["a", "b"]).await?;
    let mut reader = ChunkReader::new(scene.queue.clone());
    for deliveries in 1..=3 {
        let read = read_one(&mut reader).await?;
        assert_eq!(
            (read.lease.chunk(), read.deliveries),
            (chunk, deliveries),
            "this reader may be handed it, too"
        );
        let leases = reader.leases().clone();
        let (wait, given_back) = (Duration::from_millis(700), Instant::now());
        leases.give_back(read.lease, read.deliveries, wait).await?;
        if deliveries == 1 {
            let again = read_one(&mut reader).await?;
            assert!(given_back.elapsed() >= wait, "{:?}", given_back.elapsed());
            leases
                .give_back(again.lease, deliveries, Duration::ZERO)
                .await?;
        }
    }
    let account = scene.account().await?;
    assert_eq!((account.in_flight, account.waiting), (2, 0));
    Ok(())
}

#[tokio::test]
async fn what_was_never_tried_does_not_count_and_another_reader_is_handed_it() -> Result<()> {
    let scene = Scene::start().await?;
    scene.admit(&["a", "b"]).await?;
    let mut reader = ChunkReader::new(scene.queue.clone());
    let read = read_one(&mut reader).await?;
    let leases = reader.leases();
    leases.give_back(read.lease, 0, Duration::ZERO).await?;
    let mut other = ChunkReader::new(scene.queue.clone());
    let read = read_one(&mut other).await?;
    assert_eq!(read.deliveries, 1);
    // It was handed out before, so nothing is taken from what waits.
    let other_chunk = scene.admit(&["c"]).await?;
    let account = scene.account().await?;
    assert_eq!((account.in_flight, account.waiting), (2, 1));
    scene.commit(read.lease.chunk(), &[0, 1]).await?;
    scene.commit(other_chunk, &[0]).await?;
    scene.expect_empty().await
}

#[tokio::test]
async fn a_reader_may_count_anew_what_it_holds() -> Result<()> {
    let scene = Scene::start().await?;
    let chunk = scene.admit(&["a"]).await?;
    let mut reader = ChunkReader::new(scene.queue.clone());
    for expected in [1, 2, 2] {
        let read = read_one(&mut reader).await?;
        assert_eq!(read.deliveries, expected);
        let leases = reader.leases().clone();
        if expected == 2 {
            leases.recount(&read.lease, 1).await?;
            let mut other = ChunkReader::new(scene.queue.clone());
            let others = other.next(1000).await?;
            assert!(others.is_empty(), "it is kept: {others:?}");
        }
        let deliveries = if expected == 2 { 1 } else { expected };
        leases
            .give_back(read.lease, deliveries, Duration::ZERO)
            .await?;
    }
    scene.commit(chunk, &[0]).await?;
    scene.expect_empty().await
}
