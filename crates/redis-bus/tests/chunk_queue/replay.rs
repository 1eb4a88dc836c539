//! A replay moves dead letters back into the queue, each once, and never beside another outcome.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use local_stack::{Break, Fault, FaultProxy, redis};
use protocol::{ChunkId, StreamId};
use redis_bus::{
    Fingerprint,
    chunk_queue::{Admitted, ChunkReader, Replay, ReplayedLetter},
};
use tokio::time::{Duration, Instant};

use crate::scene::{ACCOUNT, FAILED, ID_LOG, QUEUE, Scene, letter, message, position, queue_at};

/// Admits messages and gives them all up. Returns their chunk.
pub(crate) async fn give_up(scene: &Scene, ids: &[&str]) -> Result<ChunkId> {
    let chunk = scene.admit_and_hand_out(ids).await?;
    let letters: Vec<_> = ids.iter().map(|id| letter(id)).collect::<Result<_>>()?;
    let letters: Vec<_> = (0..).zip(&letters).collect();
    let letters: Vec<_> = letters
        .iter()
        .map(|(index, letter)| Ok((position(chunk, *index)?, *letter)))
        .collect::<Result<_>>()?;
    for settlement in scene.queue.give_up(&scene.identity, &letters).await {
        settlement?;
    }
    Ok(chunk)
}

/// The entries of the letters, oldest first.
pub(crate) async fn entries(scene: &Scene) -> Result<Vec<StreamId>> {
    let letters: Vec<(String, redis::Value)> = scene.command(&["XRANGE", FAILED, "-", "+"]).await?;
    let entries = letters.iter().map(|(entry, _)| Ok(entry.parse()?));
    entries.collect()
}

/// All letters with the ids of their messages.
async fn letters(scene: &Scene, ids: &[&str]) -> Result<Vec<(StreamId, Fingerprint)>> {
    let entries = entries(scene).await?;
    ensure!(entries.len() == ids.len(), "{entries:?}");
    let fingerprints = ids.iter().map(|id| Fingerprint::of(id));
    Ok(entries.into_iter().zip(fingerprints).collect())
}

async fn last(scene: &Scene) -> Result<StreamId> {
    Ok(scene.queue.open().await?.1)
}

async fn read(scene: &Scene) -> Result<(ChunkId, Vec<Bytes>)> {
    let mut reader = ChunkReader::new(scene.queue.clone());
    let mut chunks = reader.next(1000).await?;
    let chunk = chunks.pop().context("nothing waits")?;
    ensure!(chunks.is_empty(), "{chunks:?}");
    Ok((chunk.lease.chunk(), chunk.messages))
}

#[tokio::test]
async fn a_letter_that_is_replayed_is_queued_again_and_has_one_outcome_more() -> Result<()> {
    let scene = Scene::start().await?;
    let old = give_up(&scene, &["a", "b", "c"]).await?;
    let some = letters(&scene, &["a", "b", "c"]).await?;
    let replay = || scene.queue.replay(&scene.identity, old.entry(), &some[1..]);
    let moved = Replay::Done(vec![ReplayedLetter::Moved; 2]);
    assert_eq!(replay().await?, moved);
    let account = scene.account().await?;
    assert_eq!((account.received, account.waiting), (3, 2));
    assert_eq!((account.dead_lettered, account.replayed), (1, 2));
    assert_eq!(entries(&scene).await?, [some[0].0]);
    let gone = Replay::Done(vec![ReplayedLetter::Gone; 2]);
    assert_eq!(replay().await?, gone);

    let (new, messages) = read(&scene).await?;
    assert_eq!(messages, ["b", "c"].map(message));
    // Whoever is late with the old position changes nothing.
    assert_eq!(scene.commit(old, &[1]).await?, [1]);
    assert_eq!(scene.commit(new, &[0, 1]).await?, [0; 0]);
    scene.expect_empty().await?;
    let account = scene.account().await?;
    assert_eq!((account.processed, account.dead_lettered), (2, 1));
    Ok(())
}

#[tokio::test]
async fn replicas_are_told_of_what_was_replayed_before_they_admit_more() -> Result<()> {
    let scene = Scene::start().await?;
    let old = give_up(&scene, &["a"]).await?;
    let letters = letters(&scene, &["a"]).await?;
    // Its id is not remembered any more.
    let log = ["XTRIM", ID_LOG, "MAXLEN", "0"];
    scene.command::<u64>(&log).await?;
    scene
        .queue
        .replay(&scene.identity, old.entry(), &letters)
        .await?;
    let last = last(&scene).await?;
    assert!(last > old.entry());
    let Admitted::Missed(page) = scene.offer(&["a"], StreamId::ZERO).await? else {
        anyhow::bail!("it was admitted");
    };
    assert_eq!(page.entries.len(), 1);
    assert_eq!(page.entries[0].fingerprints, [Fingerprint::of("a")]);
    assert_eq!((page.read_to, page.is_last), (last, true));
    Ok(())
}

#[tokio::test]
async fn an_id_that_was_admitted_again_is_not_replayed() -> Result<()> {
    let scene = Scene::start().await?;
    let old = give_up(&scene, &["a", "b"]).await?;
    let letters = letters(&scene, &["a", "b"]).await?;
    // By a replica that does not remember it.
    scene.admit(&["c", "a"]).await?;
    let replay = scene
        .queue
        .replay(&scene.identity, old.entry(), &letters)
        .await?;
    let expected = vec![ReplayedLetter::Admitted, ReplayedLetter::Moved];
    assert_eq!(replay, Replay::Done(expected));
    assert_eq!(entries(&scene).await?, [letters[0].0]);
    scene.account().await?;
    Ok(())
}

#[tokio::test]
async fn of_two_letters_of_one_message_one_is_replayed() -> Result<()> {
    let scene = Scene::start().await?;
    let old = give_up(&scene, &["a", "a"]).await?;
    let letters = letters(&scene, &["a", "a"]).await?;
    let replay = scene
        .queue
        .replay(&scene.identity, old.entry(), &letters)
        .await?;
    let expected = vec![ReplayedLetter::Moved, ReplayedLetter::Admitted];
    assert_eq!(replay, Replay::Done(expected));
    // Also for one that has not read of the first.
    let replay = scene
        .queue
        .replay(&scene.identity, old.entry(), &letters[1..])
        .await?;
    assert_eq!(replay, Replay::Done(vec![ReplayedLetter::Admitted]));
    Ok(())
}

#[tokio::test]
async fn a_rehearsal_or_one_too_far_behind_changes_nothing() -> Result<()> {
    let scene = Scene::start().await?;
    let old = give_up(&scene, &["a"]).await?;
    let letters = letters(&scene, &["a"]).await?;
    let before = scene.account().await?;
    let (queue, identity) = (&scene.queue, &scene.identity);
    let rehearsed = queue.rehearse_replay(identity, old.entry(), &letters);
    assert_eq!(rehearsed.await?, Replay::Done(vec![ReplayedLetter::Moved]));
    assert_eq!(scene.account().await?, before);
    for number in 0..9 {
        scene.admit(&[&number.to_string()]).await?;
    }
    let replay = queue.replay(identity, old.entry(), &letters).await?;
    assert_eq!(replay, Replay::Missed);
    assert_eq!(entries(&scene).await?.len(), 1);
    assert_eq!(scene.account().await?.replayed, 0);
    Ok(())
}

#[tokio::test]
async fn letters_that_the_account_does_not_know_are_received_with_their_replay() -> Result<()> {
    let scene = Scene::start().await?;
    let old = give_up(&scene, &["a", "b"]).await?;
    // As if the account was made anew between the two.
    let command = ["HINCRBY", ACCOUNT, "dead_lettered", "-1"];
    scene.command::<i64>(&command).await?;
    let command = ["HINCRBY", ACCOUNT, "received", "-1"];
    scene.command::<i64>(&command).await?;
    let letters = letters(&scene, &["a", "b"]).await?;
    scene
        .queue
        .replay(&scene.identity, old.entry(), &letters)
        .await?;
    let account = scene.account().await?;
    assert_eq!((account.received, account.waiting), (2, 2));
    assert_eq!((account.dead_lettered, account.replayed), (0, 1));
    Ok(())
}

#[tokio::test]
async fn a_stream_group_that_is_destroyed_after_a_replay_knows_what_waits() -> Result<()> {
    let scene = Scene::start().await?;
    let old = give_up(&scene, &["a", "b"]).await?;
    let letters = letters(&scene, &["a", "b"]).await?;
    scene
        .queue
        .replay(&scene.identity, old.entry(), &letters)
        .await?;
    let destroy = ["XGROUP", "DESTROY", QUEUE, "consumer-group"];
    scene.command::<u64>(&destroy).await?;
    scene.queue.open().await?;
    assert_eq!(scene.account().await?.waiting, 2);
    Ok(())
}

#[tokio::test]
async fn a_replay_that_cannot_be_written_moves_nothing() -> Result<()> {
    let scene = Scene::start().await?;
    let old = give_up(&scene, &["a", "b"]).await?;
    let letters = letters(&scene, &["a", "b"]).await?;
    // The id log goes no further.
    let end = [
        "XADD",
        ID_LOG,
        "18446744073709551615-18446744073709551614",
        "ids",
        "",
    ];
    scene.command::<String>(&end).await?;
    let read_to = "18446744073709551615-18446744073709551614".parse()?;
    let failed = scene.queue.replay(&scene.identity, read_to, &letters).await;
    assert!(failed.is_err(), "{failed:?}");
    assert_eq!(entries(&scene).await?.len(), 2);
    assert_eq!(scene.command::<u64>(&["XLEN", QUEUE]).await?, 0);
    let account = scene.account().await?;
    assert_eq!((account.dead_lettered, account.waiting), (2, 0));
    assert_eq!(last(&scene).await?, old.entry());
    Ok(())
}

#[tokio::test]
async fn a_replay_whose_answer_is_lost_is_not_repeated_and_moves_once() -> Result<()> {
    let scene = Scene::start().await?;
    let old = give_up(&scene, &["a"]).await?;
    let letters = letters(&scene, &["a"]).await?;
    let proxy = FaultProxy::start(&format!("127.0.0.1:{}", scene.redis.port())).await?;
    let queue = queue_at(proxy.port())?;
    // Redis learns the script, and the connection is there.
    queue
        .rehearse_replay(&scene.identity, old.entry(), &letters)
        .await?;
    proxy.set(Fault::OneWay);
    let lose = async {
        let deadline = Instant::now() + Duration::from_secs(30);
        while scene.account().await?.replayed == 0 {
            ensure!(Instant::now() < deadline, "the replay was not carried out");
        }
        proxy.break_open(Break::Reset);
        proxy.set(Fault::Pass);
        Ok(())
    };
    let replay = queue.replay(&scene.identity, old.entry(), &letters);
    let (replayed, lost) = tokio::join!(replay, lose);
    lost?;
    assert!(replayed.is_err(), "{replayed:?}");
    let again = queue.replay(&scene.identity, old.entry(), &letters).await?;
    assert_eq!(again, Replay::Done(vec![ReplayedLetter::Gone]));
    assert_eq!(scene.account().await?.waiting, 1);
    Ok(())
}
