//! A position is settled once, whoever comes twice, in whatever order.

use std::collections::HashSet;

use anyhow::Result;
use protocol::{ChunkId, Fields, Position, StreamId};
use redis_bus::chunk_queue::{Outcome, QueueError, Settlement};

use crate::scene::{
    ACCOUNT, FAILED, ID_LOG, QUEUE, STREAM, Scene, admission, appended, before, entry, letter,
    position,
};

#[tokio::test]
async fn a_chunk_leaves_the_queue_when_all_of_it_is_committed_and_each_entry_is_there_once()
-> Result<()> {
    let scene = Scene::start().await?;
    let chunk = scene.admit_and_hand_out(&["a"; 20]).await?;
    assert_eq!(scene.commit(chunk, &[3, 17]).await?, [0; 0]);
    let account = scene.account().await?;
    assert_eq!((account.processed, account.in_flight), (2, 18));
    // The parts overlap: what is committed already is told.
    assert_eq!(scene.commit(chunk, &[0, 3, 4, 17, 19]).await?, [3, 17]);
    let rest: Vec<_> = (0..20).collect();
    assert_eq!(scene.commit(chunk, &rest).await?, [0, 3, 4, 17, 19]);
    scene.expect_empty().await?;
    let mut processed = scene.processed().await?;
    assert_eq!(
        processed[..5],
        [3, 17, 0, 4, 19].map(|index| format!("{chunk}/{index}"))
    );
    processed.sort();
    processed.dedup();
    assert_eq!(processed.len(), 20);
    // What is gone is settled, and stays so.
    assert_eq!(scene.commit(chunk, &[5]).await?, [5]);
    assert_eq!(scene.account().await?.processed, 20);
    Ok(())
}

#[tokio::test]
async fn several_parts_are_committed_at_once_and_entries_keep_their_own_fields() -> Result<()> {
    let scene = Scene::start().await?;
    let one = scene.admit_and_hand_out(&["a", "b"]).await?;
    let other = scene.admit_and_hand_out(&["c"; 512]).await?;
    let positions: Vec<_> = Position::all(other).chain(Position::new(one, 1)).collect();
    let fields: Vec<_> = positions
        .iter()
        .map(|position| entry(position.chunk(), position.index()))
        .collect();
    let entries: Vec<_> = positions.iter().copied().zip(&fields).collect();
    let settlements = scene.queue.commit(&scene.identity, 0, &entries).await;
    for settlement in settlements {
        assert_eq!(settlement?, Settlement::Settled);
    }
    let stored: Vec<(String, Vec<String>)> = scene.command(&["XRANGE", STREAM, "-", "+"]).await?;
    let stored: HashSet<_> = stored.into_iter().map(|(_, fields)| fields).collect();
    let texts = |fields: &Fields| fields.texts().map(str::to_owned).collect();
    assert_eq!(
        stored,
        fields.iter().map(texts).collect::<HashSet<Vec<_>>>()
    );
    assert_eq!(scene.commit(one, &[0]).await?, [0; 0]);
    scene.expect_empty().await
}

#[tokio::test]
async fn what_was_never_handed_out_is_settled_as_well() -> Result<()> {
    let scene = Scene::start().await?;
    let chunk = scene.admit(&["a", "b", "c"]).await?;
    scene.commit(chunk, &[1]).await?;
    scene.commit(chunk, &[0, 2]).await?;
    scene.expect_empty().await
}

#[tokio::test]
async fn processed_and_given_up_are_disjoint_whoever_is_first() -> Result<()> {
    let scene = Scene::start().await?;
    let chunk = scene.admit_and_hand_out(&["a", "b", "c"]).await?;
    let (a, b) = (letter("a")?, letter("b")?);
    let letters = [(position(chunk, 0)?, &a), (position(chunk, 1)?, &b)];
    assert_eq!(scene.commit(chunk, &[1]).await?, [0; 0]);
    for expected in [vec![1], vec![0, 1]] {
        let settlements = scene.queue.give_up(&scene.identity, &letters).await;
        let settlements = settlements.into_iter().collect::<Result<_, _>>()?;
        assert_eq!(before(&[0, 1], settlements)?, expected);
    }
    assert_eq!(scene.commit(chunk, &[0, 1, 2]).await?, [0, 1]);
    let account = scene.account().await?;
    assert_eq!((account.processed, account.dead_lettered), (2, 1));
    assert_eq!(scene.command::<usize>(&["XLEN", FAILED]).await?, 1);
    scene.expect_empty().await
}

#[tokio::test]
async fn what_is_recorded_elsewhere_is_counted_once() -> Result<()> {
    let scene = Scene::start().await?;
    let chunk = scene.admit_and_hand_out(&["a", "b", "c"]).await?;
    for (outcome, indices, expected) in [
        (Outcome::Processed, [0, 1], vec![]),
        (Outcome::Duplicate, [1, 2], vec![1]),
        (Outcome::Processed, [2, 1], vec![2, 1]),
    ] {
        let positions = [position(chunk, indices[0])?, position(chunk, indices[1])?];
        let settlements = scene
            .queue
            .settle(&scene.identity, outcome, &positions)
            .await;
        let settlements = settlements.into_iter().collect::<Result<_, _>>()?;
        assert_eq!(before(&indices, settlements)?, expected);
    }
    let account = scene.account().await?;
    assert_eq!((account.processed, account.duplicate), (2, 1));
    assert!(scene.processed().await?.is_empty());
    scene.expect_empty().await
}

async fn assert_unknown(scene: &Scene, chunk: ChunkId) {
    let committed = scene.commit(chunk, &[0]).await;
    assert!(
        format!("{committed:?}").contains("unknown"),
        "{committed:?}"
    );
}

#[tokio::test]
async fn a_chunk_that_the_queue_never_had_or_has_lost_is_unknown_and_nothing_is_written()
-> Result<()> {
    let scene = Scene::start().await?;
    let chunk = scene.admit(&["a"]).await?;
    let never: ChunkId = format!("{}-512", chunk.entry().millis() + 1).parse()?;
    assert_unknown(&scene, never).await;
    // A failover has lost it.
    for key in [QUEUE, ID_LOG] {
        scene
            .command::<u64>(&["XDEL", key, &chunk.to_string()])
            .await?;
    }
    assert_unknown(&scene, chunk).await;
    assert!(scene.processed().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn what_is_older_than_the_id_log_remembers_and_not_in_the_queue_is_settled() -> Result<()> {
    let scene = Scene::start().await?;
    let chunk = scene.admit(&["a"]).await?;
    scene.commit(chunk, &[0]).await?;
    scene
        .command::<u64>(&["XDEL", ID_LOG, &chunk.to_string()])
        .await?;
    let later = (chunk.entry().millis() + 1).to_string();
    scene
        .command::<()>(&["HSET", ACCOUNT, "trimmed", &later])
        .await?;
    assert_eq!(scene.commit(chunk, &[0]).await?, [0]);
    Ok(())
}

#[tokio::test]
async fn what_waits_for_longer_than_the_id_log_remembers_is_not_settled() -> Result<()> {
    let scene = Scene::start().await?;
    let chunk = scene.admit(&["a"]).await?;
    scene
        .command::<u64>(&["XDEL", ID_LOG, &chunk.to_string()])
        .await?;
    let later = (chunk.entry().millis() + 1).to_string();
    scene
        .command::<()>(&["HSET", ACCOUNT, "trimmed", &later])
        .await?;
    assert_eq!(scene.commit(chunk, &[0]).await?, [0; 0]);
    assert_eq!(scene.processed().await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_queue_that_was_made_anew_is_told_from_the_one_that_is_meant() -> Result<()> {
    let scene = Scene::start().await?;
    let chunk = scene.admit(&["a"]).await?;
    scene.command::<()>(&["FLUSHALL"]).await?;
    scene.queue.open().await?;
    let error = scene
        .commit(chunk, &[0])
        .await
        .unwrap_err()
        .downcast::<QueueError>()?;
    assert!(matches!(error, QueueError::Another { .. }), "{error}");
    Ok(())
}

#[tokio::test]
async fn an_entry_that_cannot_be_added_marks_nothing_and_those_before_it_stay_settled() -> Result<()>
{
    let scene = Scene::start().await?;
    let chunk = scene.admit_and_hand_out(&["a", "b", "c"]).await?;
    let entries: Vec<_> = (0..3).map(|index| entry(chunk, index)).collect();
    let huge: Fields = (0..5000).map(|number| (number.to_string(), "")).collect();
    let fields = [&entries[0], &huge, &entries[2]];
    let entries: Vec<_> = Position::all(chunk).zip(fields).collect();
    for settlement in scene.queue.commit(&scene.identity, 0, &entries).await {
        let error = settlement.unwrap_err();
        assert!(error.to_string().contains("refused"), "{error}");
    }
    assert_eq!(scene.account().await?.processed, 1);
    assert_eq!(scene.commit(chunk, &[0, 1, 2]).await?, [0]);
    assert_eq!(scene.processed().await?.len(), 3);
    scene.expect_empty().await
}

#[tokio::test]
async fn while_the_stream_cannot_be_written_nothing_is_settled() -> Result<()> {
    let scene = Scene::start().await?;
    let chunk = scene.admit_and_hand_out(&["a", "b", "c"]).await?;
    scene.command::<()>(&["SET", STREAM, "no stream"]).await?;
    assert!(scene.commit(chunk, &[0, 1, 2]).await.is_err());
    assert_eq!(scene.account().await?.in_flight, 3);
    scene.command::<()>(&["DEL", STREAM]).await?;
    assert_eq!(scene.commit(chunk, &[0, 1, 2]).await?, [0; 0]);
    assert_eq!(scene.processed().await?.len(), 3);
    scene.expect_empty().await
}

#[tokio::test]
async fn ids_may_have_the_window_of_a_moment_and_settled_chunks_stay_settled() -> Result<()> {
    let scene = Scene::start().await?;
    let mut chunks = Vec::new();
    let mut read_to = StreamId::ZERO;
    for number in 0..300 {
        let mut short = admission(None);
        short.window = std::time::Duration::ZERO;
        let chunk = appended(
            scene
                .offer_as(&short, &[&number.to_string()], read_to)
                .await?,
        )?;
        read_to = chunk.entry();
        scene.commit(chunk, &[0]).await?;
        chunks.push(chunk);
    }
    for chunk in chunks {
        assert_eq!(scene.commit(chunk, &[0]).await?, [0]);
    }
    assert_eq!(scene.processed().await?.len(), 300);
    Ok(())
}
