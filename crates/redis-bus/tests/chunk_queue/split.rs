//! What a reader has no room for it puts back, and each message has one outcome, where it stands in the end.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use protocol::{ChunkId, Fields, QueueIdentity, StreamId};
use redis_bus::{
    Fingerprint,
    chunk_queue::{Admitted, ChunkQueue, ChunkReader, Indices, ReadChunk, Split},
};
use tokio::task::JoinSet;

use crate::scene::{ID_LOG, PROGRESS, QUEUE, Scene, before, message, position, queue_in};

async fn read(reader: &mut ChunkReader) -> Result<ReadChunk> {
    let mut chunks = reader.next(1000).await?;
    ensure!(chunks.len() == 1, "{chunks:?}");
    chunks.pop().context("there was one")
}

fn indices(indices: &[usize]) -> Indices {
    indices.iter().copied().collect()
}

fn moved(split: Split) -> Result<Vec<ChunkId>> {
    match split {
        Split::Moved(chunks) => Ok(chunks),
        Split::Unchanged => anyhow::bail!("nothing was moved"),
    }
}

/// The chunks that wait, each with its messages; they are handed out with that.
async fn waiting(scene: &Scene) -> Result<Vec<(ChunkId, Vec<Bytes>)>> {
    let mut reader = ChunkReader::new(scene.queue.clone());
    let mut chunks = Vec::new();
    loop {
        let read = reader.next(1000).await?;
        if read.is_empty() {
            return Ok(chunks);
        }
        chunks.extend(
            read.into_iter()
                .map(|read| (read.lease.chunk(), read.messages)),
        );
    }
}

#[tokio::test]
async fn what_is_not_kept_goes_back_in_chunks_of_its_own_and_has_its_outcome_there() -> Result<()> {
    let scene = Scene::start().await?;
    let ids = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
    let old = scene.admit(&ids).await?;
    let other = scene.admit(&["x"]).await?;
    let mut reader = ChunkReader::new(scene.queue.clone());
    let large = read(&mut reader).await?;
    scene.commit(old, &[1]).await?;
    let keep = indices(&[0, 2, 9]);
    let split = scene.queue.split(&scene.identity, &large.lease, keep, 4);
    let new = moved(split.await?)?;
    let account = scene.account().await?;
    assert_eq!((account.received, account.processed), (11, 1));
    assert_eq!((account.in_flight, account.waiting), (3, 7));
    assert_eq!(scene.queue.open().await?.1, new[1].entry());

    let waiting = waiting(&scene).await?;
    let messages = |ids: &[&str]| ids.iter().map(|id| message(id)).collect::<Vec<_>>();
    let expected = [
        (other, messages(&["x"])),
        (new[0], messages(&["3", "4", "5", "6"])),
        (new[1], messages(&["7", "8"])),
    ];
    assert_eq!(waiting, expected);
    // Where they stood they are settled, also for whoever is late.
    assert_eq!(scene.commit(old, &[0, 2, 5, 9]).await?, [5]);
    assert_eq!(scene.account().await?.processed, 4);
    for (chunk, messages) in waiting {
        let all: Vec<_> = (0..messages.len()).collect();
        assert_eq!(scene.commit(chunk, &all).await?, [0; 0]);
    }
    assert_eq!(scene.account().await?.processed, 11);
    scene.expect_empty().await
}

#[tokio::test]
async fn replicas_read_the_ids_of_what_was_moved_in_the_log() -> Result<()> {
    let scene = Scene::start().await?;
    let old = scene.admit(&["a", "b", "c"]).await?;
    let mut reader = ChunkReader::new(scene.queue.clone());
    let read = read(&mut reader).await?;
    let keep = indices(&[1]);
    let split = scene.queue.split(&scene.identity, &read.lease, keep, 100);
    let new = moved(split.await?)?;
    let Admitted::Missed(page) = scene.offer(&["c"], old.entry()).await? else {
        anyhow::bail!("it was admitted");
    };
    assert_eq!(page.read_to, new[0].entry());
    assert_eq!(
        page.entries[0].fingerprints,
        ["a", "c"].map(Fingerprint::of)
    );
    Ok(())
}

#[tokio::test]
async fn what_is_older_than_the_id_log_is_moved_without_fingerprints() -> Result<()> {
    let scene = Scene::start().await?;
    let old = scene.admit(&["a", "b"]).await?;
    let mut reader = ChunkReader::new(scene.queue.clone());
    let read = read(&mut reader).await?;
    scene
        .command::<u64>(&["XDEL", ID_LOG, &old.to_string()])
        .await?;
    let keep = indices(&[0]);
    let split = scene.queue.split(&scene.identity, &read.lease, keep, 1);
    let new = moved(split.await?)?;
    let page = scene.queue.read_log(StreamId::ZERO, 0).await?;
    assert_eq!(page.entries[0].fingerprints, []);
    scene.commit(new[0], &[0]).await?;
    // It is known, though nothing of it is.
    assert_eq!(scene.commit(new[0], &[0]).await?, [0]);
    Ok(())
}

#[tokio::test]
async fn what_was_handed_out_before_is_put_back_one_by_one() -> Result<()> {
    let scene = Scene::start().await?;
    let chunk = scene.admit(&["a", "b", "c", "d"]).await?;
    let mut reader = ChunkReader::new(scene.queue.clone());
    let first = read(&mut reader).await?;
    reader
        .leases()
        .give_back(first.lease, 1, std::time::Duration::from_secs(60))
        .await?;
    let claim = [
        "XCLAIM",
        QUEUE,
        "consumer-group",
        reader.name(),
        "0",
        &chunk.to_string(),
        "RETRYCOUNT",
        "2",
        "JUSTID",
    ];
    scene.command::<Vec<String>>(&claim).await?;
    let lease = reader.leases().take(chunk).context("it is held")?;
    let keep = indices(&[0]);
    let split = scene.queue.split(&scene.identity, &lease, keep, 100);
    let new = moved(split.await?)?;
    let sizes: Vec<_> = new.into_iter().map(ChunkId::messages).collect();
    assert_eq!(sizes, [1, 1, 1]);
    Ok(())
}

#[tokio::test]
async fn a_chunk_is_left_as_it_is_by_whoever_lost_it_or_keeps_nothing_or_all() -> Result<()> {
    let scene = Scene::start().await?;
    let chunk = scene.admit(&["a", "b", "c"]).await?;
    let mut reader = ChunkReader::new(scene.queue.clone());
    let read = read(&mut reader).await?;
    scene.commit(chunk, &[2]).await?;
    let split = |keep: &'static [usize]| {
        let (queue, identity, lease) = (&scene.queue, &scene.identity, &read.lease);
        async move { queue.split(identity, lease, indices(keep), 1).await }
    };
    for keep in [&[][..], &[2], &[0, 1], &[0, 1, 2]] {
        assert_eq!(split(keep).await?, Split::Unchanged, "{keep:?}");
    }
    let claim = ["XCLAIM", QUEUE, "consumer-group", "other", "0"];
    let chunk = chunk.to_string();
    let claim: Vec<_> = claim.into_iter().chain([&*chunk, "JUSTID"]).collect();
    scene.command::<Vec<String>>(&claim).await?;
    assert_eq!(split(&[0]).await?, Split::Unchanged);
    assert_eq!(scene.command::<u64>(&["XLEN", QUEUE]).await?, 1);
    let account = scene.account().await?;
    assert_eq!((account.in_flight, account.waiting), (2, 0));
    Ok(())
}

#[tokio::test]
async fn an_entry_that_is_no_chunk_is_not_split() -> Result<()> {
    let scene = Scene::start().await?;
    let by_hand = scene.queue.now().await? + 1000;
    for (number, entry) in (0..).zip(["", "abc", "\0\0\0\x01a", "\0\0\0\0\0\0\0\0x"]) {
        // Each is of two messages, says its id.
        let id = format!("{}-1", by_hand + number);
        scene
            .command::<String>(&["XADD", QUEUE, &id, "messages", entry])
            .await?;
        let mut reader = ChunkReader::new(scene.queue.clone());
        let read = read(&mut reader).await?;
        let keep = indices(&[0]);
        let split = scene.queue.split(&scene.identity, &read.lease, keep, 1);
        assert_eq!(split.await?, Split::Unchanged, "{entry:?}");
    }
    assert_eq!(scene.command::<u64>(&["EXISTS", PROGRESS]).await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_split_that_cannot_be_written_moves_nothing() -> Result<()> {
    let scene = Scene::start().await?;
    let chunk = scene.admit(&["a", "b"]).await?;
    let mut reader = ChunkReader::new(scene.queue.clone());
    let read = read(&mut reader).await?;
    // The id log goes no further.
    let end = "18446744073709551615-18446744073709551614";
    scene
        .command::<String>(&["XADD", ID_LOG, end, "ids", ""])
        .await?;
    let keep = indices(&[0]);
    let split = scene.queue.split(&scene.identity, &read.lease, keep, 1);
    let failed = split.await;
    assert!(failed.is_err(), "{failed:?}");
    assert_eq!(scene.command::<u64>(&["XLEN", QUEUE]).await?, 1);
    assert_eq!(scene.account().await?.waiting, 0);
    assert_eq!(scene.commit(chunk, &[0, 1]).await?, [0; 0]);
    scene.expect_empty().await
}

/// The entry of a message, which has the message's own id.
fn entry_of(message: &Bytes) -> Result<Fields> {
    let message = protocol::Message::parse(message.clone())?;
    let fields = [("message_id", message.id().to_string())];
    Ok(fields.into_iter().collect())
}

/// Reads until nothing comes; of each chunk it keeps the first few messages, and commits these.
async fn process(queue: ChunkQueue, identity: QueueIdentity, room: usize) -> Result<()> {
    let mut reader = ChunkReader::new(queue.clone());
    loop {
        let chunks = reader.next(room).await?;
        if chunks.is_empty() {
            return Ok(());
        }
        for read in chunks {
            let chunk = read.lease.chunk();
            let open = (0..read.messages.len()).filter(|index| !read.settled.contains(*index));
            let kept: Vec<_> = open.take(room).collect();
            let split = queue.split(&identity, &read.lease, indices(&kept), 3 * room);
            split.await?;
            let mut entries = Vec::new();
            for index in &kept {
                entries.push((position(chunk, *index)?, entry_of(&read.messages[*index])?));
            }
            let entries: Vec<_> = entries.iter().map(|(at, entry)| (*at, entry)).collect();
            let settlements = queue.commit(&identity, 0, &entries).await;
            let settlements = settlements.into_iter().collect::<Result<_, _>>()?;
            ensure!(before(&kept, settlements)?.is_empty());
        }
    }
}

#[tokio::test]
async fn readers_with_little_room_share_large_chunks_and_each_message_has_one_entry() -> Result<()>
{
    const MESSAGES: usize = 1500;
    let scene = Scene::start().await?;
    let ids: Vec<_> = (0..MESSAGES).map(|number| number.to_string()).collect();
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    for ids in ids.chunks(500) {
        scene.admit(ids).await?;
    }
    let mut readers = JoinSet::new();
    for room in [3, 7, 20, 50] {
        let queue = queue_in(&scene.redis)?;
        readers.spawn(process(queue, scene.identity.clone(), room));
    }
    while let Some(done) = readers.join_next().await {
        done??;
    }
    scene.expect_each_once(MESSAGES).await?;
    let account = scene.account().await?;
    assert_eq!(account.received, account.processed);
    Ok(())
}
