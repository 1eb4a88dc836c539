//! What the dashboard says when Redis, or the group itself, does not answer.

use anyhow::Result;
use harness::{
    Bus, PATIENCE, Page, calls,
    services::{consumer, fixed_port, group, group_at, redis, wait_until_subscribed},
    wait_until,
};
use reqwest::Client;

/// How many figures stand on top of the page.
const TILES: u64 = 6;

/// How many may watch at once.
const SEATS: usize = 32;

/// How many tiles are grey: of another colour than the cards below them.
const GREY: &str = "\
    const colour = (element) => getComputedStyle(element).backgroundColor; \
    const plain = colour(document.querySelector('.card')); \
    return [...document.querySelectorAll('.figure')].filter((tile) => colour(tile) !== plain).length";

async fn wait_for_grey(page: &Page, count: u64) -> Result<()> {
    let what = format!("{count} tiles to be grey");
    wait_until(&what, PATIENCE, async || Ok(page.run(GREY).await? == count)).await
}

async fn wait_for_no_banner(page: &Page) -> Result<()> {
    let is_gone = async |shown: &str| shown.is_empty();
    page.wait_for("#banner", "no banner", is_gone).await?;
    wait_for_grey(page, 0).await
}

#[tokio::test]
async fn the_page_says_that_redis_is_unreachable_until_it_is_back() -> Result<()> {
    let mut redis = redis().await?;
    let group = group(&redis, &[]).await?;
    let _consumer = consumer(&redis, &group, &[]).await?;
    let Some(page) = Page::open(&group).await? else {
        return Ok(());
    };
    let bus = Bus::of(&redis);
    for id in ["a", "b", "c"] {
        bus.publish_id(id).await?;
    }
    page.wait_for_text("#account .processed dd", "3").await?;
    wait_for_no_banner(&page).await?;
    redis.stop().await?;
    page.wait_for_text("#banner", "Redis is unreachable since")
        .await?;
    page.wait_for_text("#banner", "Connection refused").await?;
    page.wait_for_text("#redis-state", "down").await?;
    wait_for_grey(&page, TILES).await?;
    // The group itself answers, and what Redis told last is still there.
    page.wait_for_text("#live", "live").await?;
    page.wait_for_text("#account .processed dd", "3").await?;
    page.wait_for_text("#account-state", "as of").await?;
    page.wait_for_text("#n-queued", "as of").await?;
    page.wait_for_text("#n-oldest", "not known").await?;
    let is_on_top = "return document.querySelector('#banner').getBoundingClientRect().top";
    assert_eq!(page.run(is_on_top).await?, 0);
    redis.start_again().await?;
    wait_for_no_banner(&page).await?;
    page.wait_for_text("#redis-state", "up").await?;
    page.check_console().await
}

#[tokio::test]
async fn a_redis_that_hangs_is_unreachable_too() -> Result<()> {
    let redis = redis().await?;
    let group = group(&redis, &[]).await?;
    let Some(page) = Page::open(&group).await? else {
        return Ok(());
    };
    wait_for_no_banner(&page).await?;
    redis.freeze()?;
    page.wait_for_text("#banner", "Redis is unreachable since")
        .await?;
    page.wait_for_text("#banner", "it does not answer in time")
        .await?;
    wait_for_grey(&page, TILES).await?;
    redis.thaw()?;
    wait_for_no_banner(&page).await?;
    page.check_console().await
}

#[tokio::test]
async fn a_group_that_starts_without_redis_shows_no_figures_that_it_does_not_know() -> Result<()> {
    let mut redis = redis().await?;
    redis.stop().await?;
    let group = group_at(fixed_port()?, &redis, &[]).await?;
    let Some(page) = Page::open(&group).await? else {
        return Ok(());
    };
    page.wait_for_text("#banner", "Redis is unreachable since")
        .await?;
    wait_for_grey(&page, TILES).await?;
    for name in [
        "processed",
        "failed",
        "duplicate",
        "queued",
        "oldest",
        "in-flight",
    ] {
        page.wait_for_text(&format!("#f-{name}"), "–").await?;
        page.wait_for_text(&format!("#n-{name}"), "not known")
            .await?;
    }
    page.wait_for_text("#account .received dd", "–").await?;
    redis.start_again().await?;
    wait_for_no_banner(&page).await?;
    page.wait_for_text("#account .received dd", "0").await?;
    page.check_console().await
}

#[tokio::test]
async fn the_page_says_that_the_group_does_not_answer_and_outlives_it() -> Result<()> {
    let redis = redis().await?;
    let port = fixed_port()?;
    let mut first = group_at(port, &redis, &[]).await?;
    wait_until_subscribed(&first).await?;
    let Some(page) = Page::open(&first).await? else {
        return Ok(());
    };
    wait_for_no_banner(&page).await?;
    first.kill().await?;
    page.wait_for_text("#live", "stale").await?;
    page.wait_for_text("#banner", "The group does not answer since")
        .await?;
    wait_for_grey(&page, TILES).await?;
    let second = group_at(port, &redis, &[]).await?;
    page.wait_for_text("#live", "live").await?;
    wait_for_no_banner(&page).await?;
    assert_eq!(calls::get(&second, "/health").await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn one_who_finds_no_seat_is_told_so_until_there_is_one() -> Result<()> {
    let redis = redis().await?;
    let group = group(&redis, &[]).await?;
    let mut watching = Vec::new();
    for _ in 0..SEATS {
        watching.push(Client::new().get(group.url("/events")).send().await?);
    }
    let Some(page) = Page::at(&group.url("/")).await? else {
        return Ok(());
    };
    let why = "The group does not give its figures: 32 others are watching";
    page.wait_for_text("#banner", why).await?;
    wait_for_grey(&page, TILES).await?;
    drop(watching);
    page.wait_for_text("#live", "live").await?;
    wait_for_no_banner(&page).await
}
