//! What is carried out, and the connection ends before the answer comes.

use anyhow::{Result, ensure};
use bytes::Bytes;
use local_stack::{Break, Fault, FaultProxy};
use protocol::StreamId;
use redis_bus::{
    Fingerprint,
    chunk_queue::{Admitted, ChunkAccount, Offer, QueueError},
};
use tokio::time::{Duration, Instant};

use crate::scene::{Scene, admission, message, queue_at};

/// Makes an offer whose first answer is lost once Redis has carried it out. Returns what it came to, and the account.
async fn offer(
    scene: &Scene,
    messages: &[Bytes],
    duplicates: u64,
    read_to: Option<StreamId>,
) -> Result<(Result<Admitted, QueueError>, ChunkAccount)> {
    let proxy = FaultProxy::start(&format!("127.0.0.1:{}", scene.redis.port())).await?;
    let queue = queue_at(proxy.port())?;
    // Redis learns the script, and the connection is there.
    queue.open().await?;
    scene
        .queue
        .offer(&scene.identity, &admission(None), none())
        .await?;
    proxy.set(Fault::OneWay);
    let fingerprints = vec![Fingerprint::of("a"); messages.len()];
    let offer = Offer {
        messages,
        fingerprints: &fingerprints,
        duplicates,
        read_to,
    };
    let lose = async {
        let deadline = Instant::now() + Duration::from_secs(30);
        while scene.account().await?.received == 0 {
            ensure!(Instant::now() < deadline, "the offer was not carried out");
        }
        proxy.break_open(Break::Reset);
        proxy.set(Fault::Pass);
        Ok(())
    };
    let admission = admission(None);
    let (offered, lost) = tokio::join!(queue.offer(&scene.identity, &admission, offer), lose);
    lost?;
    Ok((offered, scene.account().await?))
}

fn none() -> Offer<'static> {
    Offer {
        messages: &[],
        fingerprints: &[],
        duplicates: 0,
        read_to: None,
    }
}

#[tokio::test]
async fn an_offer_whose_answer_is_lost_is_missed_when_it_is_made_again() -> Result<()> {
    let scene = Scene::start().await?;
    let messages = [message("a")];
    let (offered, account) = offer(&scene, &messages, 1, Some(StreamId::ZERO)).await?;
    assert!(matches!(offered, Err(QueueError::Bus(_))), "{offered:?}");
    assert_eq!((account.received, account.duplicate), (2, 1));
    let offered = scene.offer(&["a"], StreamId::ZERO).await?;
    assert!(matches!(offered, Admitted::Missed(_)), "{offered:?}");
    assert_eq!(scene.account().await?, account);
    Ok(())
}

#[tokio::test]
async fn an_offer_that_admits_whatever_the_log_says_is_not_repeated() -> Result<()> {
    let scene = Scene::start().await?;
    let messages = [message("a")];
    let (offered, account) = offer(&scene, &messages, 0, None).await?;
    assert!(matches!(offered, Err(QueueError::Bus(_))), "{offered:?}");
    assert_eq!((account.received, account.waiting), (1, 1));
    Ok(())
}

#[tokio::test]
async fn duplicates_are_counted_once() -> Result<()> {
    let scene = Scene::start().await?;
    let (offered, account) = offer(&scene, &[], 3, Some(StreamId::ZERO)).await?;
    assert!(matches!(offered, Err(QueueError::Bus(_))), "{offered:?}");
    assert_eq!((account.received, account.duplicate), (3, 3));
    Ok(())
}
