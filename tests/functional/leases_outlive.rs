//! Leases outlive the replica that gave them, and whatever happens to Redis nothing is lost or recorded twice.

use std::time::Duration;

use anyhow::Result;
use harness::{
    Bus, FakeConsumer, PATIENCE, Reply, Service, bus,
    services::{group, wait_for_account},
    status::{status, wait_for_status},
    wait_until,
};
use serde_json::json;

use crate::leases::{Scene, lease, settle};

/// How many messages the workers of a replica have.
async fn leased(group: &Service) -> Result<u64> {
    let status = status(group).await?;
    let workers = status["consumers"].as_array().into_iter().flatten();
    let workers = workers.filter(|worker| worker["state"] == "fetching");
    Ok(workers
        .filter_map(|worker| worker["in_flight"].as_u64())
        .sum())
}

#[tokio::test]
async fn the_lease_of_a_group_that_was_killed_goes_on_with_the_next() -> Result<()> {
    let mut scene = Scene::with(&[]).await?;
    scene.publish(40).await?;
    let fetched = lease(&scene.group, "a", 10, 60.0).await?;
    assert!(!fetched.is_empty());
    scene.group.kill().await?;
    let second = group(&scene.redis, &[]).await?;
    let pushed = FakeConsumer::join(&second, Reply::status(200)).await?;
    scene.bus.age_pending().await?;
    // The rest is delivered, and what is leased is left alone.
    let rest = 40 - fetched.len();
    wait_for_status(
        &second,
        &json!({ "processed": rest, "in_flight": fetched.len() }),
    )
    .await?;
    wait_until("the lease to be taken over", PATIENCE, async || {
        Ok(leased(&second).await? == u64::try_from(fetched.len())?)
    })
    .await?;
    let told = settle(&second, &fetched, &json!({ "entry": { "x": 1 } })).await?;
    assert!(told.iter().all(|status| *status == 200), "{told:?}");
    wait_for_account(&second, 40, 0).await?;
    assert_eq!(scene.bus.processed().await?.len(), fetched.len());
    assert_eq!(pushed.received()?.len(), rest);
    Ok(())
}

#[tokio::test]
async fn a_lease_is_settled_by_a_group_that_has_not_taken_it_over_yet() -> Result<()> {
    let mut scene = Scene::with(&[]).await?;
    scene.publish(10).await?;
    let fetched = lease(&scene.group, "a", 10, 60.0).await?;
    scene.group.terminate(PATIENCE).await?;
    let second = group(&scene.redis, &[]).await?;
    let told = settle(&second, &fetched, &json!({ "entry": { "x": 1 } })).await?;
    assert!(told.iter().all(|status| *status == 200), "{told:?}");
    assert_eq!(scene.bus.processed().await?.len(), fetched.len());
    Ok(())
}

#[tokio::test]
async fn what_is_settled_through_another_replica_is_let_go_by_the_first() -> Result<()> {
    let scene = Scene::with(&["--maxAttempts", "1"]).await?;
    let other = group(&scene.redis, &[]).await?;
    scene.publish(3).await?;
    let mut fetched = Vec::new();
    while fetched.len() < 3 {
        fetched.extend(lease(&scene.group, "a", 3, 60.0).await?);
    }
    let [done, rejected, failed] = [0, 1, 2].map(|place| vec![fetched[place].clone()]);
    assert_eq!(
        settle(&other, &done, &json!({ "entry": { "x": 1 } })).await?,
        [200]
    );
    let outcome = json!({ "status": 422, "error": "no such customer" });
    assert_eq!(settle(&other, &rejected, &outcome).await?, [200]);
    assert_eq!(
        settle(&other, &failed, &json!({ "status": 500 })).await?,
        [200]
    );
    let ended = json!({ "processed": 1, "dead_lettered": 2, "in_flight": 0, "queued": 0 });
    wait_for_status(&scene.group, &ended).await?;
    wait_until("the first replica to let go", PATIENCE, async || {
        Ok(leased(&scene.group).await? == 0)
    })
    .await?;
    assert_eq!(bus::ids(&scene.bus.processed().await?)?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn while_redis_is_away_a_worker_is_asked_to_say_it_again() -> Result<()> {
    let scene = Scene::with(&[]).await?;
    scene.publish(1).await?;
    let fetched = lease(&scene.group, "a", 1, 60.0).await?;
    scene.redis.freeze()?;
    let entry = json!({ "entry": { "x": 1 } });
    assert_eq!(settle(&scene.group, &fetched, &entry).await?, [503]);
    scene.redis.thaw()?;
    wait_until("it to be settled", PATIENCE, async || {
        // What was on its way when Redis froze may have been carried out: then the lease is over.
        Ok(settle(&scene.group, &fetched, &entry).await? != [503])
    })
    .await?;
    wait_for_account(&scene.group, 1, 0).await?;
    assert_eq!(scene.bus.processed().await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn what_stood_in_a_queue_that_was_emptied_comes_again() -> Result<()> {
    let scene = Scene::with(&[]).await?;
    scene.publish(1).await?;
    let fetched = lease(&scene.group, "a", 1, 60.0).await?;
    let _: () = scene.bus.command(&["FLUSHALL"]).await?;
    let entry = json!({ "entry": { "x": 1 } });
    assert_eq!(settle(&scene.group, &fetched, &entry).await?, [412]);
    wait_until("it to come again", PATIENCE, async || {
        let again = lease(&scene.group, "a", 1, 60.0).await?;
        Ok(!again.is_empty() && settle(&scene.group, &again, &entry).await? == [200])
    })
    .await?;
    assert_eq!(Bus::of(&scene.redis).processed().await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn one_message_that_kills_its_worker_takes_no_other_with_it() -> Result<()> {
    let scene = Scene::with(&["--maxAttempts", "3"]).await?;
    scene.publish(20).await?;
    let ended = async { wait_for_account(&scene.group, 19, 1).await };
    let working = async {
        loop {
            let fetched = lease(&scene.group, "a", 20, 1.0).await?;
            let is_deadly = fetched
                .iter()
                .any(|(_, message)| message["message_id"] == "m0007");
            if !is_deadly {
                settle(&scene.group, &fetched, &json!({ "entry": {} })).await?;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        #[expect(unreachable_code, reason = "it works until it is dropped")]
        anyhow::Ok(())
    };
    tokio::select! {
        ended = ended => ended?,
        stopped = working => stopped?,
    }
    let letters = scene.bus.failed().await?;
    assert_eq!(letters[0].text("message_id")?, "m0007");
    assert_eq!(scene.bus.processed().await?.len(), 19);
    Ok(())
}
