//! `GET /docs` in a real browser: it opens on an overview of all calls, in light and dark.

use anyhow::{Context, Result, ensure};
use harness::{
    PATIENCE, Page, calls,
    services::{consumer_without_group, group, redis},
    wait_until,
};
use serde_json::Value;

/// How bright a page is, from 0 to 1: what lies behind and the text, of the overview, of the part around it, and
/// of the list of calls.
const BRIGHTNESS: &str = "\
    const inside = document.querySelector('openapi-explorer').shadowRoot; \
    const bright = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0) / 765; \
    const of = (element, property) => element ? bright(getComputedStyle(element)[property]) : null; \
    return { \
        behind: [document.body, inside.host, inside.querySelector('.nav-bar')] \
            .map((element) => of(element, 'backgroundColor')), \
        text: [...document.querySelectorAll('.overview h1, .overview a, .overview td')] \
            .concat(inside.querySelector('.nav-bar')).map((element) => of(element, 'color')), \
    }";

/// Waits until the page, its part made by a script included, is there.
async fn wait_until_shown(page: &Page) -> Result<()> {
    let is_there = "\
        return document.querySelector('openapi-explorer').shadowRoot?.querySelector('.nav-bar') !== null \
            && document.querySelector('.overview').checkVisibility()";
    let what = "the API to be shown";
    wait_until(what, PATIENCE, async || {
        Ok(page.run(is_there).await? == true)
    })
    .await
}

#[tokio::test]
async fn it_opens_on_an_overview_with_a_sentence_for_each_call() -> Result<()> {
    let redis = redis().await?;
    for service in [
        group(&redis, &[]).await?,
        consumer_without_group(&redis, 1, &[]).await?,
    ] {
        let Some(page) = Page::at(&service.url("/docs")).await? else {
            return Ok(());
        };
        wait_until_shown(&page).await?;
        let rows = "return [...document.querySelectorAll('.overview tr')].map((row) => row.innerText.split('\\t'))";
        let rows = page.run(rows).await?;
        let shown: Vec<Vec<String>> = serde_json::from_value(rows)?;
        let description = calls::get(&service, "/openapi.json").await?.body;
        let mut described = 0;
        for (path, methods) in description["paths"].as_object().context("no paths")? {
            for (method, call) in methods.as_object().context("no methods")? {
                let sentence = call["summary"].as_str().context("no summary")?;
                let row = [
                    &method.to_uppercase(),
                    path.as_str(),
                    &sentence.replace('`', ""),
                ];
                ensure!(
                    shown.iter().any(|shown| *shown == row),
                    "{row:?} is not in {shown:?}"
                );
                described += 1;
            }
        }
        assert_eq!(shown.len(), described);
        page.check_console().await?;
    }
    Ok(())
}

#[tokio::test]
async fn it_is_dark_for_who_prefers_that() -> Result<()> {
    let redis = redis().await?;
    let group = group(&redis, &[]).await?;
    let Some(page) = Page::at(&group.url("/docs")).await? else {
        return Ok(());
    };
    wait_until_shown(&page).await?;
    page.look_through(1024, 768, "dark").await?;
    let seen = page.run(BRIGHTNESS).await?;
    let all = |part: &str, is_so: fn(f64) -> bool| {
        let values = seen[part].as_array().into_iter().flatten();
        values
            .map(Value::as_f64)
            .all(|value| value.is_some_and(is_so))
    };
    ensure!(all("behind", |value| value < 0.2), "{seen}");
    ensure!(all("text", |value| value > 0.5), "{seen}");
    page.look_through(1024, 768, "light").await?;
    let seen = page.run(BRIGHTNESS).await?;
    ensure!(seen["behind"][0] == 1 && seen["behind"][1] == 1, "{seen}");
    page.check_console().await
}

#[tokio::test]
async fn a_path_of_the_overview_leads_to_the_call() -> Result<()> {
    let redis = redis().await?;
    let group = group(&redis, &[]).await?;
    let Some(page) = Page::at(&group.url("/docs")).await? else {
        return Ok(());
    };
    wait_until_shown(&page).await?;
    page.click(".overview a[href='#?route=post-/register']")
        .await?;
    let opened = "\
        const inside = document.querySelector('openapi-explorer').shadowRoot; \
        return inside.getElementById('post-/register')?.innerText ?? ''";
    wait_until("the call to be shown", PATIENCE, async || {
        let text = page.run(opened).await?;
        Ok(text.as_str().is_some_and(|text| text.contains("/register")))
    })
    .await?;
    page.check_console().await
}
