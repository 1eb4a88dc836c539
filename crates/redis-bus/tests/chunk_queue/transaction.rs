//! Commits of many entries, which are transactions.

use anyhow::{Context, Result};
use local_stack::redis;
use protocol::ChunkId;

use crate::scene::{QUEUE, STREAM, Scene};

const GATE: &str = "{messages:processed}:gate";

const ALL: [usize; 40] = {
    let mut all = [0; 40];
    let mut index = 0;
    while index < all.len() {
        all[index] = index;
        index += 1;
    }
    all
};

async fn admit(scene: &Scene, name: &str) -> Result<ChunkId> {
    let ids: Vec<_> = ALL.iter().map(|index| format!("{name}{index}")).collect();
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    scene.admit_and_hand_out(&ids).await
}

/// An entry: its id and its fields.
type Entry = (String, Vec<String>);

/// How many entries scripts have added, and how many transactions there were.
async fn calls(scene: &Scene) -> Result<(u64, u64)> {
    let text: String = scene.command(&["INFO", "commandstats"]).await?;
    let calls = |command: &str| -> Result<u64> {
        let Some((_, rest)) = text.split_once(&format!("cmdstat_{command}:calls=")) else {
            return Ok(0);
        };
        Ok(rest.split(',').next().context("no number")?.parse()?)
    };
    Ok((calls("xadd")?, calls("exec")?))
}

#[tokio::test]
async fn many_entries_are_a_transaction_and_each_is_there_once() -> Result<()> {
    let scene = Scene::start().await?;
    // The first makes the stream, the second finds it, and the third settles two parts of one chunk.
    for name in ["a", "b"] {
        let chunk = admit(&scene, name).await?;
        let (_, before) = calls(&scene).await?;
        assert_eq!(scene.commit(chunk, &ALL).await?, [0; 0]);
        let (_, after) = calls(&scene).await?;
        assert!(after > before, "{after} transactions");
    }
    let chunk = admit(&scene, "c").await?;
    let (first, second) = ALL.split_at(20);
    scene.commit(chunk, second).await?;
    assert_eq!(scene.command::<u64>(&["XLEN", QUEUE]).await?, 1);
    scene.commit(chunk, first).await?;
    scene.expect_each_once(120).await?;
    assert_eq!(scene.command::<u64>(&["EXISTS", GATE]).await?, 0);
    assert_eq!(scene.account().await?.processed, 120);
    Ok(())
}

#[tokio::test]
async fn what_was_settled_before_has_no_second_entry_also_among_many() -> Result<()> {
    let scene = Scene::start().await?;
    let chunk = admit(&scene, "a").await?;
    scene.commit(chunk, &[3, 5]).await?;
    assert_eq!(scene.commit(chunk, &ALL).await?, [3, 5]);
    scene.expect_each_once(40).await?;
    // All of it, and what this queue never had.
    assert_eq!(scene.commit(chunk, &ALL).await?, ALL);
    scene.expect_each_once(40).await?;
    assert_eq!(scene.command::<u64>(&["EXISTS", GATE]).await?, 0);
    Ok(())
}

#[tokio::test]
async fn commits_of_many_that_overlap_leave_one_entry_each() -> Result<()> {
    let scene = Scene::start().await?;
    for name in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        let chunk = admit(&scene, name).await?;
        let parts = [&ALL[..24], &ALL[8..32], &ALL[16..], &ALL[..], &ALL[4..20]];
        let commits = parts.map(|part| scene.commit(chunk, part));
        let [a, b, c, d, e] = commits;
        let (a, b, c, d, e) = tokio::try_join!(a, b, c, d, e)?;
        let committed = parts.iter().map(|part| part.len()).sum::<usize>();
        let before: usize = [a, b, c, d, e].iter().map(Vec::len).sum();
        assert_eq!(committed - before, ALL.len());
    }
    scene.expect_each_once(8 * ALL.len()).await
}

#[tokio::test]
async fn a_stream_that_takes_no_more_entries_settles_nothing() -> Result<()> {
    let scene = Scene::start().await?;
    let chunk = admit(&scene, "a").await?;
    let last = "18446744073709551615-18446744073709551600";
    scene
        .command::<String>(&["XADD", STREAM, last, "message_id", "the last but few"])
        .await?;
    scene.commit(chunk, &ALL).await.unwrap_err();
    // Those that were added are marked, and no others.
    let entries: u64 = scene.command(&["XLEN", STREAM]).await?;
    assert_eq!(scene.account().await?.processed + 1, entries);
    assert_eq!(scene.command::<u64>(&["XLEN", QUEUE]).await?, 1);
    Ok(())
}

#[tokio::test]
async fn scripts_that_were_forgotten_are_sent_again() -> Result<()> {
    let scene = Scene::start().await?;
    for name in ["a", "b"] {
        let chunk = admit(&scene, name).await?;
        scene.command::<()>(&["SCRIPT", "FLUSH", "SYNC"]).await?;
        assert_eq!(scene.commit(chunk, &ALL).await?, [0; 0]);
    }
    scene.expect_each_once(80).await
}

#[tokio::test]
async fn whoever_waits_for_entries_is_given_them() -> Result<()> {
    let scene = Scene::start().await?;
    let first = admit(&scene, "a").await?;
    scene.commit(first, &ALL).await?;
    scene
        .command::<()>(&["XGROUP", "CREATE", STREAM, "downstream", "$"])
        .await?;
    let read = [
        "XREADGROUP",
        "GROUP",
        "downstream",
        "somebody",
        "BLOCK",
        "5000",
        "STREAMS",
        STREAM,
        ">",
    ];
    let plain = ["XREAD", "BLOCK", "5000", "STREAMS", STREAM, "$"];
    let (mut one, mut other) = (scene.redis.connect().await?, scene.redis.connect().await?);
    let mut grouped = redis::cmd(read[0]);
    grouped.arg(&read[1..]);
    let mut simple = redis::cmd(plain[0]);
    simple.arg(&plain[1..]);
    let grouped = grouped.query_async::<redis::Value>(&mut one);
    let simple = simple.query_async::<redis::Value>(&mut other);
    let commit = async {
        loop {
            let info: String = scene.command(&["INFO", "clients"]).await?;
            if info.contains("blocked_clients:2") {
                break;
            }
            tokio::task::yield_now().await;
        }
        // One that adds nothing must not disturb those who wait.
        scene.commit(first, &ALL).await?;
        let next = admit(&scene, "b").await?;
        scene.commit(next, &ALL).await
    };
    let (grouped, simple, committed) = tokio::join!(grouped, simple, commit);
    assert_eq!(committed?, [0; 0]);
    for read in [grouped?, simple?] {
        let streams: Vec<(String, Vec<Entry>)> = redis::from_redis_value(read)?;
        assert!(!streams[0].1.is_empty());
    }
    Ok(())
}

#[tokio::test]
async fn a_user_without_the_rights_for_it_commits_all_the_same() -> Result<()> {
    for (right, tries) in [("-multi", false), ("-renamenx", true)] {
        let scene = Scene::start().await?;
        scene
            .command::<()>(&["ACL", "SETUSER", "default", right])
            .await?;
        let chunk = admit(&scene, "a").await?;
        assert_eq!(scene.commit(chunk, &ALL).await?, [0; 0]);
        scene.expect_each_once(40).await?;
        // The first looks whether there are transactions, the second is one.
        let (_, transactions) = calls(&scene).await?;
        assert_eq!(transactions >= 2, tries, "{right}: {transactions}");
        assert_eq!(scene.command::<u64>(&["EXISTS", GATE]).await?, 0);
    }
    Ok(())
}
