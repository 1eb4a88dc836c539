//! How the dashboard looks: its labels are whole, and its links lead somewhere.

use anyhow::{Context, Result, ensure};
use harness::{
    Bus, PATIENCE, Page,
    services::{consumer, group, redis},
    wait_until,
};

/// Notes down every text that is drawn on a canvas, with its place.
const RECORD: &str = "\
    window.labels = []; \
    const canvas = CanvasRenderingContext2D.prototype; \
    window.fillText ??= canvas.fillText; \
    canvas.fillText = function (text, x, y) { \
        const size = this.measureText(text); \
        const at = this.getTransform().transformPoint({ x, y }); \
        window.labels.push({ \
            text, canvas: this.canvas, wide: this.canvas.width, high: this.canvas.height, width: size.width, \
            left: at.x - size.actualBoundingBoxLeft, right: at.x + size.actualBoundingBoxRight, \
            top: at.y - size.actualBoundingBoxAscent, bottom: at.y + size.actualBoundingBoxDescent, \
        }); \
        return window.fillText.apply(this, arguments); \
    }";

/// How many charts were drawn since in a canvas that is whole, and what of their labels is cut off, now or
/// when a label is at the very end of its axis.
const LOOK: &str = "\
    const cut = []; \
    const charts = [...document.querySelectorAll('.chart')]; \
    const drawn = charts.filter((chart) => { \
        const canvas = chart.querySelector('canvas'); \
        const [outside, inside] = [canvas, chart.querySelector('.u-over')].map((part) => part.getBoundingClientRect()); \
        const frame = chart.getBoundingClientRect(); \
        const isInside = outside.right < frame.right + 1 && outside.bottom < frame.bottom + 1; \
        const labels = window.labels.filter((label) => label.canvas === canvas); \
        for (const { text, wide, high, width, left, right, top, bottom } of labels) { \
            const isWhole = left >= 0 && top >= 0 && right <= wide && bottom <= high; \
            const room = Math.min(inside.left - outside.left, outside.right - inside.right); \
            const fits = !text.includes(':') || width / 2 <= room * devicePixelRatio; \
            if (!isWhole || !fits) cut.push(text); \
        } \
        return isInside && labels.length > 4; \
    }).length; \
    const words = 'h1, h2, thead th, .figure .name, .figure .value, .figure .note, .legend li, nav a, .account dt, dd'; \
    for (const word of document.querySelectorAll(words)) { \
        if (word.checkVisibility() && word.scrollWidth > word.clientWidth + 1 && word.clientWidth > 0) \
            cut.push(word.textContent); \
    } \
    return { drawn, cut }";

#[tokio::test]
async fn no_label_is_cut_off() -> Result<()> {
    let redis = redis().await?;
    let group = group(&redis, &[]).await?;
    let _consumer = consumer(&redis, &group, &[]).await?;
    let Some(page) = Page::open(&group).await? else {
        return Ok(());
    };
    // So that there are large numbers on the axes.
    let ids: Vec<_> = (0..20_000).map(|number| format!("id {number}")).collect();
    Bus::of(&redis).publish_ids(&ids).await?;
    page.wait_for_text("#account .processed dd", "20,000")
        .await?;
    for colours in ["light", "dark"] {
        for width in [1024, 1440] {
            page.look_through(width, 900, colours).await?;
            page.run(RECORD).await?;
            wait_until("both charts to be drawn", PATIENCE, async || {
                Ok(page.run(LOOK).await?["drawn"] == 2)
            })
            .await?;
            let seen = page.run(LOOK).await?;
            let cut = seen["cut"].as_array().context("no list")?;
            ensure!(cut.is_empty(), "{width} wide, {colours}: {cut:?} cut off");
        }
    }
    page.check_console().await
}

#[tokio::test]
async fn the_page_links_to_the_api_docs_and_the_metrics() -> Result<()> {
    let redis = redis().await?;
    let group = group(&redis, &[]).await?;
    let Some(page) = Page::open(&group).await? else {
        return Ok(());
    };
    page.click("header a[href=docs]").await?;
    page.wait_for_text(".overview", "/register").await?;
    page.open(&group.url("/")).await?;
    page.wait_for_text("#live", "live").await?;
    page.click("header a[href=metrics]").await?;
    page.wait_for_text("body", "consumer_group_redis_up 1")
        .await
}
