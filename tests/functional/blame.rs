//! Whose fault it is that a message was not processed: its own, its consumer's or nobody's.

use std::{
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    time::{Duration, Instant, SystemTime},
};

use anyhow::Result;
use harness::{
    FakeServer, PATIENCE, Reply, calls,
    services::{self, wait_for_account, wait_until_joined},
    status::{status, wait_for_status},
    wait_until,
};

use serde_json::json;

use crate::answers::{MESSAGES, Scene};

#[tokio::test]
async fn a_message_is_put_off_for_as_long_as_asked_and_its_consumer_goes_on() -> Result<()> {
    // A failure would be the end of a message.
    let scene = Scene::with(&["--maxAttempts", "1"]).await?;
    let asked = AtomicU32::new(0);
    let consumer = FakeServer::start(move |request| match request.path.as_str() {
        "/processMessage" if request.body.windows(3).any(|word| word == b"put") => {
            match asked.fetch_add(1, Ordering::Relaxed) {
                0 => Reply::retry_after(500, 1),
                _ => Reply::status(200),
            }
        }
        _ => Reply::status(200),
    })
    .await?;
    calls::register(&scene.group, &consumer.address()).await?;
    wait_until_joined(&scene.group, &consumer.address()).await?;
    scene.publish(1, "put off").await?;
    wait_until("it to be asked", PATIENCE, async || {
        Ok(consumer.requests("/processMessage").len() == 1)
    })
    .await?;
    let put_off = Instant::now();
    scene.publish(MESSAGES, "more").await?;
    wait_for_status(&scene.group, &json!({ "processed": MESSAGES })).await?;
    wait_for_account(&scene.group, u64::try_from(MESSAGES + 1)?, 0).await?;
    assert!(put_off.elapsed() > Duration::from_millis(900));
    let status = status(&scene.group).await?;
    assert_eq!(status["consumers"][0]["ejections"], 0, "{status}");
    assert_eq!(status["consumers"][0]["outcomes"]["later"], 1, "{status}");
    Ok(())
}

#[tokio::test]
async fn what_is_put_off_does_not_hold_up_the_end_of_the_group() -> Result<()> {
    let mut scene = Scene::with(&[]).await?;
    let consumer = scene.join(Reply::retry_after(500, 3600)).await?;
    scene.publish(1, "put off").await?;
    wait_until("it to be asked", PATIENCE, async || {
        Ok(consumer.received()?.len() == 1)
    })
    .await?;
    let begun = Instant::now();
    scene.group.terminate(PATIENCE).await?;
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(scene.bus.queue_length().await?, 1, "it waits for the next");
    Ok(())
}

#[tokio::test]
async fn one_that_is_gone_is_unregistered_and_what_it_had_goes_to_another() -> Result<()> {
    let scene = Scene::with(&["--maxAttempts", "1"]).await?;
    let gone = scene.join(Reply::status(410)).await?;
    let well = scene.join(Reply::status(200)).await?;
    scene.publish(MESSAGES, "m").await?;
    wait_for_account(&scene.group, u64::try_from(MESSAGES)?, 0).await?;
    wait_until("it to be unregistered", PATIENCE, async || {
        Ok(scene.bus.members().await? == [well.id()])
    })
    .await?;
    assert!(!gone.received()?.is_empty());
    Ok(())
}

#[tokio::test]
async fn one_that_asks_for_time_by_a_date_or_a_fraction_is_busy() -> Result<()> {
    let in_an_hour = SystemTime::now() + Duration::from_secs(3600);
    for wait in [httpdate::fmt_http_date(in_an_hour), "3600.5".to_owned()] {
        // A failure would be the end of a message.
        let scene = Scene::with(&["--maxAttempts", "1"]).await?;
        let header = format!("Retry-After: {wait}");
        let busy = scene
            .join(Reply::Answer(503, vec![header], "{}".to_owned()))
            .await?;
        scene.publish(1, "first").await?;
        wait_until("it to be asked", PATIENCE, async || {
            Ok(busy.received()?.len() == 1)
        })
        .await?;
        let _well = scene.join(Reply::status(200)).await?;
        scene.publish(MESSAGES, "more").await?;
        wait_for_account(&scene.group, u64::try_from(MESSAGES + 1)?, 0).await?;
        assert_eq!(busy.received()?.len(), 1, "it is left alone: {wait}");
    }
    Ok(())
}

#[tokio::test]
async fn what_a_busy_consumer_finishes_meanwhile_does_not_make_it_less_busy() -> Result<()> {
    let scene = Scene::with(&[]).await?;
    let first = AtomicBool::new(true);
    let busy = FakeServer::start(move |request| match request.path.as_str() {
        "/processMessage" if first.swap(false, Ordering::Relaxed) => {
            Reply::Late(Duration::from_secs(1), Box::new(Reply::status(200)))
        }
        "/processMessage" => Reply::retry_after(503, 3600),
        _ => Reply::status(200),
    })
    .await?;
    calls::register(&scene.group, &busy.address()).await?;
    wait_until_joined(&scene.group, &busy.address()).await?;
    let asked = || busy.requests("/processMessage").len();
    for count in 1..=2 {
        scene.publish(1, &format!("m{count}")).await?;
        wait_until("it to be asked", PATIENCE, async || Ok(asked() == count)).await?;
    }
    let _well = scene.join(Reply::status(200)).await?;
    wait_for_account(&scene.group, 2, 0).await?;
    scene.publish(MESSAGES, "more").await?;
    wait_for_account(&scene.group, u64::try_from(MESSAGES + 2)?, 0).await?;
    assert_eq!(asked(), 2, "it is left alone");
    Ok(())
}

#[tokio::test]
async fn what_waits_for_a_consumer_that_turns_busy_goes_to_another() -> Result<()> {
    let scene = Scene::with(&["--maxInFlightPerConsumer", "1"]).await?;
    let reply = Reply::retry_after(503, 3600);
    let busy = scene
        .join(Reply::Late(Duration::from_secs(1), Box::new(reply)))
        .await?;
    // All but the first wait until it has answered that.
    scene.publish(MESSAGES, "m").await?;
    wait_until("it to be asked", PATIENCE, async || {
        Ok(busy.received()?.len() == 1)
    })
    .await?;
    let _well = scene.join(Reply::status(200)).await?;
    wait_for_account(&scene.group, u64::try_from(MESSAGES)?, 0).await?;
    assert_eq!(busy.received()?.len(), 1);
    Ok(())
}

/// Publishes, again and again: one that fails gets one message at a time, and the other one most of them.
async fn publish_until_one_is_ejected(scene: &Scene) -> Result<()> {
    let round = AtomicU32::new(0);
    wait_until("one to be ejected", PATIENCE, async || {
        let round = round.fetch_add(1, Ordering::Relaxed);
        scene.publish(MESSAGES, &format!("more {round} ")).await?;
        Ok(scene.ejections().await? != "0")
    })
    .await
}

#[tokio::test]
async fn what_a_proxy_could_not_hand_on_is_no_attempt_of_a_message() -> Result<()> {
    for status in [502, 504] {
        let scene = Scene::with(&["--maxAttempts", "1"]).await?;
        let proxy = scene.join(Reply::status(status)).await?;
        let _well = scene.join(Reply::status(200)).await?;
        scene.expect_all_processed().await?;
        assert!(!proxy.received()?.is_empty(), "it was never tried");
        publish_until_one_is_ejected(&scene).await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_reached_nobody_is_no_attempt_of_a_message() -> Result<()> {
    let scene = Scene::with(&["--maxAttempts", "1"]).await?;
    let gone = scene.join(Reply::status(200)).await?;
    let _well = scene.join(Reply::status(200)).await?;
    drop(gone);
    scene.expect_all_processed().await
}

#[tokio::test]
async fn a_status_that_speaks_of_the_consumer_gives_up_no_message() -> Result<()> {
    for status in [401, 404, 405, 415, 501] {
        let scene = Scene::with(&[]).await?;
        let wrong = scene.join(Reply::status(status)).await?;
        let _well = scene.join(Reply::status(200)).await?;
        scene.expect_all_processed().await?;
        publish_until_one_is_ejected(&scene).await?;
        assert!(
            wrong.received()?.len() >= 5,
            "five failures eject: {status}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn the_word_of_one_that_never_delivered_anything_is_checked_with_another() -> Result<()> {
    for status in [400, 413, 422] {
        let scene = Scene::with(&["--maxAttempts", "1"]).await?;
        let odd = scene.join(Reply::status(status)).await?;
        let _well = scene.join(Reply::status(200)).await?;
        scene.expect_all_processed().await?;
        assert!(!odd.received()?.is_empty(), "it was never tried");
    }
    Ok(())
}

#[tokio::test]
async fn what_all_consumers_reject_is_rejected() -> Result<()> {
    let scene = Scene::with(&["--maxAttempts", "9"]).await?;
    let all = [
        scene.join(Reply::status(422)).await?,
        scene.join(Reply::status(400)).await?,
    ];
    scene.publish(MESSAGES, "m").await?;
    wait_for_account(&scene.group, 0, u64::try_from(MESSAGES)?).await?;
    for entry in scene.bus.failed().await? {
        assert_eq!(entry.text("reason")?, "rejected");
    }
    for consumer in &all {
        assert_eq!(
            consumer.received()?.len(),
            MESSAGES,
            "each has its say once"
        );
    }
    Ok(())
}

#[tokio::test]
async fn the_word_of_one_that_delivered_before_is_enough() -> Result<()> {
    let scene = Scene::with(&[]).await?;
    let proven = scene.join(Reply::status(200)).await?;
    scene.publish(1, "first").await?;
    wait_for_account(&scene.group, 1, 0).await?;
    proven.answer_messages(Reply::status(422));
    let well = services::consumer(&scene.redis, &scene.group, &[]).await?;
    scene.publish(MESSAGES, "m").await?;
    wait_until("all to be settled", PATIENCE, async || {
        let (processed, failed) = (scene.bus.processed().await?, scene.bus.failed().await?);
        Ok(processed.len() + failed.len() == MESSAGES)
    })
    .await?;
    let failed = scene.bus.failed().await?;
    assert_eq!(failed.len() + 1, proven.received()?.len());
    for entry in failed {
        assert_eq!(entry.text("attempts")?, "1");
    }
    drop(well);
    Ok(())
}
