//! The publishers of `examples/`, in every language.

use anyhow::{Result, ensure};
use harness::{
    Bus, Language, Work, Workshop,
    services::{consumer, group, redis},
    status::wait_for_status,
};
use serde_json::json;

/// How many messages are published.
const COUNT: usize = 50;

async fn all_are_acknowledged(language: Language) -> Result<()> {
    let Some(workshop) = Workshop::open(language, Work::AsItIs)? else {
        return Ok(());
    };
    let redis = redis().await?;
    let group = group(&redis, &[]).await?;
    let ended = workshop.publish(&group.url(""), COUNT).await?;
    ensure!(ended.code == Some(0), "{}", ended.output);
    wait_for_status(&group, &json!({ "received": COUNT, "duplicate": 0 })).await?;
    let _consumer = consumer(&redis, &group, &[]).await?;
    Bus::of(&redis).wait_for_processed(COUNT).await?;
    Ok(())
}

async fn all_are_heard_or_it_fails(language: Language) -> Result<()> {
    let Some(workshop) = Workshop::open(language, Work::AsItIs)? else {
        return Ok(());
    };
    let redis = redis().await?;
    let url = format!("redis://127.0.0.1:{}", redis.port());
    assert_eq!(
        workshop.publish(&url, COUNT).await?.code,
        Some(1),
        "nobody hears"
    );
    let group = group(&redis, &[]).await?;
    let _consumer = consumer(&redis, &group, &[]).await?;
    let ended = workshop.publish(&url, COUNT).await?;
    ensure!(ended.code == Some(0), "{}", ended.output);
    Bus::of(&redis).wait_for_processed(COUNT).await?;
    Ok(())
}

macro_rules! in_each {
    ($($name:ident: $claim:ident in $language:ident),* $(,)?) => { $(
        #[tokio::test]
        async fn $name() -> Result<()> {
            $claim(Language::$language).await
        }
    )* };
}

in_each!(
    all_are_acknowledged_in_python: all_are_acknowledged in Python,
    all_are_acknowledged_in_node: all_are_acknowledged in Node,
    all_are_acknowledged_in_shell: all_are_acknowledged in Shell,
    all_are_heard_or_it_fails_in_python: all_are_heard_or_it_fails in Flask,
    all_are_heard_or_it_fails_in_shell: all_are_heard_or_it_fails in Shell,
);
