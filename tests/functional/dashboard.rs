//! The dashboard, in a real headless Chromium.

use anyhow::{Result, ensure};
use harness::{
    Bus, FakeConsumer, PATIENCE, Page, PrivateRedis, Reply,
    services::{consumer, group, id_of, redis},
    status::wait_for_status,
    wait_until,
};
use serde_json::json;

/// Screens from a phone to a wide one.
const SCREENS: [(u32, u32); 3] = [(360, 800), (1024, 768), (1920, 1080)];

/// Makes every consumer fail to like what it is given.
const REJECTS: u16 = 422;

#[tokio::test]
async fn the_page_loads_without_errors_and_asks_nobody_else() -> Result<()> {
    let redis = redis().await?;
    let group = group(&redis, &[]).await?;
    let Some(page) = Page::open(&group).await? else {
        return Ok(());
    };
    page.wait_for_text("#redis-state", "up").await?;
    page.wait_for_text("#sub-state", "subscribed").await?;
    page.wait_for_text("#no-letters", "Nothing was given up")
        .await?;
    for colours in ["light", "dark"] {
        for (width, height) in SCREENS {
            page.look_through(width, height, colours).await?;
            let hidden = "return document.documentElement.scrollWidth - window.innerWidth";
            let hidden = page.run(hidden).await?;
            ensure!(hidden == 0, "{width} wide, {hidden} of it to scroll");
        }
    }
    // The chart is drawn anew for other colours.
    let canvases = "return document.querySelectorAll('canvas').length";
    assert_eq!(page.run(canvases).await?, 2);
    let (own, asked) = (group.url("/"), page.requests().await?);
    assert!(asked.len() > 5, "{asked:?}");
    let foreign: Vec<_> = asked.iter().filter(|url| !url.starts_with(&own)).collect();
    assert!(foreign.is_empty(), "{foreign:?}");
    page.check_console().await
}

#[tokio::test]
async fn the_rate_moves_when_messages_are_published() -> Result<()> {
    let redis = redis().await?;
    let group = group(&redis, &[]).await?;
    let consumer = consumer(&redis, &group, &[]).await?;
    let Some(page) = Page::open(&group).await? else {
        return Ok(());
    };
    page.wait_for_text("#f-processed", "0").await?;
    page.wait_for_text("#consumers tbody", &id_of(&consumer)?)
        .await?;
    let bus = Bus::of(&redis);
    let ids: Vec<_> = (0..20_000).map(|number| format!("id {number}")).collect();
    let (published, moved) = tokio::join!(
        bus.publish_ids(&ids),
        page.wait_for("#f-processed", "a rate", async |shown| shown
            .trim()
            .replace(',', "")
            .parse::<f64>()
            .is_ok_and(|rate| rate > 0.0))
    );
    published?;
    moved?;
    page.wait_for_text("#account .processed dd", "20,000")
        .await?;
    page.wait_for_text("#account-state", "adds up").await?;
    page.wait_for_text("#f-processed", "0").await?;
    page.check_console().await
}

#[tokio::test]
async fn a_killed_consumer_is_seen_to_go() -> Result<()> {
    let redis = redis().await?;
    let group = group(&redis, &[]).await?;
    let stays = consumer(&redis, &group, &[]).await?;
    let mut goes = consumer(&redis, &group, &[]).await?;
    let Some(page) = Page::open(&group).await? else {
        return Ok(());
    };
    page.wait_for_text("#consumer-count", "2 consumers").await?;
    let (stays, gone) = (id_of(&stays)?, id_of(&goes)?);
    let state = |id: &str| format!("#consumers tr[data-key=\"{id}\"] .state");
    page.wait_for_text(&state(&gone), "active").await?;
    goes.kill().await?;
    // Somebody must find out that nobody is there.
    let bus = Bus::of(&redis);
    wait_until("the page to notice", PATIENCE, async || {
        bus.publish_id(&uuid::Uuid::new_v4().to_string()).await?;
        Ok(page.text(&state(&gone)).await?.as_deref() == Some("left"))
    })
    .await?;
    page.wait_for_text("#consumer-count", "1 consumer").await?;
    page.wait_for_text(&state(&stays), "active").await?;
    page.check_console().await
}

/// Gives up messages whose text is hostile, then opens the page and has the consumer accept all.
async fn with_dead_letters(
    redis: &PrivateRedis,
    group: &harness::Service,
    ids: &[&str],
) -> Result<(FakeConsumer, Option<Page>)> {
    let consumer = FakeConsumer::join(group, Reply::status(REJECTS)).await?;
    let bus = Bus::of(redis);
    for id in ids {
        let text = "<img src=x onerror=\"document.title='owned'\"></pre><script>1</script>";
        bus.publish(json!({ "message_id": id, "text": text }).to_string())
            .await?;
    }
    bus.wait_for_failed(ids.len()).await?;
    let page = Page::open(group).await?;
    consumer.answer_messages(Reply::status(200));
    Ok((consumer, page))
}

#[tokio::test]
async fn a_dead_letter_is_replayed_by_clicking() -> Result<()> {
    let redis = redis().await?;
    let group = group(&redis, &["--dashboardReplay", "true"]).await?;
    let (_consumer, page) = with_dead_letters(&redis, &group, &["<b>a</b>", "b"]).await?;
    let Some(page) = page else {
        return Ok(());
    };
    page.wait_for_text("#letter-count", "2").await?;
    // The newest is the first.
    let first = "#letters details:first-child";
    page.wait_for_text(&format!("{first} .id"), "b").await?;
    page.click(&format!("{first} summary")).await?;
    let payload = format!("{first} pre");
    page.wait_for_text(&payload, "<img src=x onerror=").await?;
    page.click(&format!("{first} button.replay")).await?;
    page.wait_for_text("#letter-result", "1 sent on the way again")
        .await?;
    wait_for_status(&group, &json!({ "processed": 1, "in_flight": 0 })).await?;
    page.wait_for_text(&format!("{first} .id"), "<b>a</b>")
        .await?;
    page.wait_for_text("#letter-count", "1").await?;
    let images = "return document.images.length + (document.title === 'owned' ? 100 : 0)";
    assert_eq!(page.run(images).await?, 1, "only the page's own");
    page.check_console().await
}

#[tokio::test]
async fn all_of_a_reason_are_replayed_after_a_question() -> Result<()> {
    let redis = redis().await?;
    let group = group(&redis, &["--dashboardReplay", "true"]).await?;
    let (_consumer, page) = with_dead_letters(&redis, &group, &["a", "b", "c"]).await?;
    let Some(page) = page else {
        return Ok(());
    };
    page.wait_for_text("#letter-count", "3").await?;
    page.wait_for_text("#readers", "this one").await?;
    page.click("#replay-reason").await?;
    page.wait_for_text("#confirm-text", "rejected").await?;
    page.click("#confirm-no").await?;
    assert_eq!(Bus::of(&redis).failed().await?.len(), 3);
    page.click("#replay-reason").await?;
    page.click("#confirm-yes").await?;
    page.wait_for_text("#letter-result", "3 sent on the way again")
        .await?;
    page.wait_for_text("#no-letters", "Nothing was given up")
        .await?;
    wait_for_status(&group, &json!({ "processed": 3, "in_flight": 0 })).await?;
    page.check_console().await
}

#[tokio::test]
async fn without_the_setting_no_replay_is_offered() -> Result<()> {
    let redis = redis().await?;
    let group = group(&redis, &[]).await?;
    let (_consumer, page) = with_dead_letters(&redis, &group, &["a"]).await?;
    let Some(page) = page else {
        return Ok(());
    };
    page.click("#letters summary").await?;
    page.wait_for_text("#letters pre", "message_id").await?;
    assert!(page.click("#letters button.replay").await.is_err());
    assert!(page.click("#replay-reason").await.is_err());
    page.check_console().await
}
