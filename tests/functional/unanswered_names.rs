//! Consumers by names that no name server answers for.

use anyhow::Result;
use harness::{Bus, Cable, PATIENCE, Service, calls::post_to, usage, wait_until};
use serde_json::json;
use tokio::task::JoinSet;

/// More names than a process may block threads.
const NAMES: usize = 600;

/// What a service may have beside the threads that look up names.
const OTHER_THREADS: usize = 20;

/// Registers all names side by side.
async fn register_names(group: &Service) -> Result<()> {
    let url = group.url("/register");
    let mut registering = JoinSet::new();
    for number in 0..NAMES {
        let (url, id) = (url.clone(), format!("worker{number}.nowhere.example:5001"));
        registering.spawn(async move { post_to(&url, &json!({ "consumer_id": id })).await });
    }
    for answer in registering.join_all().await {
        assert_eq!(answer?.status, 200);
    }
    Ok(())
}

#[tokio::test]
async fn names_that_nobody_answers_for_hold_few_threads_and_no_message() -> Result<()> {
    let cable = Cable::lay().await?;
    let Some(_silent) = cable.silence_names()? else {
        return Ok(());
    };
    let group = cable.far_group(&["--maxConsumerGroupSize", "5000"]).await?;
    let bus = Bus::of(cable.redis());
    let _workers = [
        cable.near_consumer(&group, &[]).await?,
        cable.near_consumer(&group, &[]).await?,
    ];
    let pid = group.pid();
    for round in 0..3 {
        register_names(&group).await?;
        let ids: Vec<_> = (0..200).map(|number| format!("{round}-{number}")).collect();
        bus.publish_ids(&ids).await?;
        wait_until("all messages to be recorded", PATIENCE, async || {
            let threads = usage::threads(pid)?;
            assert!(threads <= 48 + OTHER_THREADS, "{threads} threads");
            Ok(bus.processed().await?.len() == (round + 1) * 200)
        })
        .await?;
    }
    assert!(bus.failed().await?.is_empty());
    Ok(())
}
