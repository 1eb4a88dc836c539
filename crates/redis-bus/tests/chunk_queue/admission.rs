//! Each id is admitted once, and a chunk is handed to its bringer when nothing else waits.

use std::time::Duration;

use anyhow::Result;
use protocol::StreamId;
use redis_bus::{
    Fingerprint,
    chunk_queue::{Admission, Admitted, Offer, QueueError},
};

use crate::scene::{ID_LOG, READER, Scene, admission, appended, message};

#[tokio::test]
async fn a_chunk_has_the_messages_that_were_offered_and_its_id_says_how_many() -> Result<()> {
    let scene = Scene::start().await?;
    let one = scene.admit(&["a"]).await?;
    let three = scene.admit(&["b", "c", "d"]).await?;
    assert_eq!((one.messages(), three.messages()), (1, 3));
    assert!(one < three);
    let account = scene.account().await?;
    assert_eq!((account.received, account.waiting), (4, 4));
    Ok(())
}

#[tokio::test]
async fn who_has_not_read_the_log_to_its_end_is_told_what_was_admitted_and_admits_nothing()
-> Result<()> {
    let scene = Scene::start().await?;
    let first = scene.admit(&["a", "b"]).await?;
    let second = scene.admit(&["c"]).await?;
    let Admitted::Missed(page) = scene.offer(&["a"], StreamId::ZERO).await? else {
        panic!("it was not told");
    };
    let missed: Vec<_> = page.entries.iter().map(|entry| entry.chunk).collect();
    assert_eq!(missed, [first, second]);
    assert_eq!(
        page.entries[0].fingerprints,
        ["a", "b"].map(Fingerprint::of)
    );
    assert!(page.is_last);
    assert_eq!(page.read_to, second.entry());
    let Admitted::Missed(page) = scene.offer(&["a"], first.entry()).await? else {
        panic!("it was not told");
    };
    assert_eq!(page.entries.len(), 1);
    assert_eq!(scene.account().await?.received, 3);
    appended(scene.offer(&["d"], page.read_to).await?)?;
    Ok(())
}

#[tokio::test]
async fn the_log_is_read_page_by_page() -> Result<()> {
    let scene = Scene::start().await?;
    let mut chunks = Vec::new();
    for number in 0..150 {
        chunks.push(scene.admit(&[&number.to_string()]).await?);
    }
    let (mut read, mut read_to, mut pages) = (Vec::new(), StreamId::ZERO, 0);
    loop {
        let page = scene.queue.read_log(read_to, 0).await?;
        read.extend(page.entries.iter().map(|entry| entry.chunk));
        (read_to, pages) = (page.read_to, pages + 1);
        if page.is_last {
            break;
        }
    }
    assert_eq!((read, pages), (chunks.clone(), 3));
    let since = chunks[149].entry().millis() + 1;
    assert!(
        scene
            .queue
            .read_log(StreamId::ZERO, since)
            .await?
            .entries
            .is_empty()
    );
    Ok(())
}

#[tokio::test]
async fn who_has_read_what_the_log_does_not_have_is_told_so() -> Result<()> {
    let scene = Scene::start().await?;
    let first = scene.admit(&["a"]).await?;
    let lost = scene.admit(&["b"]).await?;
    // As a failover does that loses the end, before and after others go on.
    let account = "{messages:processed}:account";
    scene
        .command::<()>(&["HSET", account, "last", &first.to_string()])
        .await?;
    scene
        .command::<u64>(&["XDEL", ID_LOG, &lost.to_string()])
        .await?;
    assert_eq!(scene.offer(&["c"], lost.entry()).await?, Admitted::Diverged);
    scene.next_millisecond().await?;
    appended(scene.offer(&["d"], first.entry()).await?)?;
    assert_eq!(scene.offer(&["c"], lost.entry()).await?, Admitted::Diverged);
    Ok(())
}

#[tokio::test]
async fn the_reader_is_handed_a_chunk_only_if_nothing_else_waits() -> Result<()> {
    let scene = Scene::start().await?;
    let with_reader = admission(Some(READER));
    let mut read_to = StreamId::ZERO;
    let mut handed = Vec::new();
    for (id, admission) in [
        ("a", &with_reader),
        ("b", &with_reader),
        ("c", &admission(None)),
        ("d", &with_reader),
    ] {
        let Admitted::Appended {
            chunk,
            is_handed_out,
        } = scene.offer_as(admission, &[id], read_to).await?
        else {
            panic!("not appended");
        };
        read_to = chunk.entry();
        handed.push(is_handed_out);
    }
    assert_eq!(handed, [true, true, false, false]);
    let account = scene.account().await?;
    assert_eq!((account.in_flight, account.waiting), (2, 2));
    Ok(())
}

#[tokio::test]
async fn duplicates_are_counted_with_and_without_messages() -> Result<()> {
    let scene = Scene::start().await?;
    let offer = Offer {
        messages: &[],
        fingerprints: &[],
        duplicates: 7,
        read_to: Some(StreamId::ZERO),
    };
    let counted = scene
        .queue
        .offer(&scene.identity, &admission(None), offer)
        .await?;
    assert_eq!(counted, Admitted::Counted);
    let (messages, fingerprints) = ([message("a")], [Fingerprint::of("a")]);
    let offer = Offer {
        messages: &messages,
        fingerprints: &fingerprints,
        duplicates: 2,
        ..offer
    };
    appended(
        scene
            .queue
            .offer(&scene.identity, &admission(None), offer)
            .await?,
    )?;
    let account = scene.account().await?;
    assert_eq!(
        (account.received, account.duplicate, account.waiting),
        (10, 9, 1)
    );
    Ok(())
}

#[tokio::test]
async fn without_a_look_at_the_log_everything_is_admitted() -> Result<()> {
    let scene = Scene::start().await?;
    let (messages, fingerprints) = ([message("a")], [Fingerprint::of("a")]);
    for _ in 0..3 {
        let offer = Offer {
            messages: &messages,
            fingerprints: &fingerprints,
            duplicates: 0,
            read_to: None,
        };
        appended(
            scene
                .queue
                .offer(&scene.identity, &admission(None), offer)
                .await?,
        )?;
    }
    assert_eq!(scene.account().await?.waiting, 3);
    Ok(())
}

#[tokio::test]
async fn ids_older_than_the_window_are_forgotten() -> Result<()> {
    let scene = Scene::start().await?;
    let short = Admission {
        window: Duration::ZERO,
        reader: None,
    };
    let mut read_to = StreamId::ZERO;
    // As many as fill some nodes of the stream, since it is trimmed by whole nodes; until a second has
    // passed.
    for number in 0.. {
        let id = number.to_string();
        read_to = appended(scene.offer_as(&short, &[&id], read_to).await?)?.entry();
        let remembered: usize = scene.command(&["XLEN", ID_LOG]).await?;
        if remembered < number {
            return Ok(());
        }
        assert!(number < 100_000, "nothing was forgotten");
    }
    Ok(())
}

#[tokio::test]
async fn another_queue_than_the_one_that_is_meant_takes_nothing() -> Result<()> {
    let scene = Scene::start().await?;
    scene.admit(&["a"]).await?;
    scene.command::<()>(&["FLUSHALL"]).await?;
    for _ in 0..2 {
        let offered = scene.offer(&["b"], StreamId::ZERO).await;
        let error = offered.unwrap_err().downcast::<QueueError>()?;
        assert!(matches!(error, QueueError::Another { .. }), "{error}");
        let (identity, last) = scene.queue.open().await?;
        assert_ne!(identity, scene.identity);
        assert_eq!(last, StreamId::ZERO);
    }
    assert_eq!(scene.account().await?.received, 0);
    Ok(())
}

#[tokio::test]
async fn a_queue_is_opened_as_often_as_one_likes() -> Result<()> {
    let scene = Scene::start().await?;
    let chunk = scene.admit(&["a"]).await?;
    for _ in 0..3 {
        let (identity, last) = scene.queue.open().await?;
        assert_eq!((identity, last), (scene.identity.clone(), chunk.entry()));
    }
    Ok(())
}
