//! `GET /ready`: who can work says so, and who cannot says why.

use anyhow::Result;
use harness::{
    PATIENCE, Service, calls,
    services::{self, consumer_without_group, group, redis},
    wait_until,
};

/// Waits until the service is not ready, with a reason that contains this.
async fn wait_until_unready(service: &Service, reason: &str) -> Result<()> {
    wait_until(
        "the service to tell why it is not ready",
        PATIENCE,
        async || {
            let answer = calls::get(service, "/ready").await?;
            let is_told = answer.body["reasons"].to_string().contains(reason);
            Ok(answer.status == 503 && answer.body["ready"] == false && is_told)
        },
    )
    .await
}

async fn wait_until_ready(service: &Service) -> Result<()> {
    wait_until("the service to be ready", PATIENCE, async || {
        let answer = calls::get(service, "/ready").await?;
        let reasons = answer.body["reasons"].as_array().map(Vec::len);
        Ok(answer.status == 200 && answer.body["ready"] == true && reasons == Some(0))
    })
    .await
}

#[tokio::test]
async fn services_are_ready_with_redis_and_not_without() -> Result<()> {
    let mut redis = redis().await?;
    let group = group(&redis, &[]).await?;
    let consumer = services::consumer(&redis, &group, &[]).await?;
    let puller = consumer_without_group(&redis, 1, &["--intake", "pull"]).await?;
    let all = [&group, &consumer, &puller];
    for service in all {
        wait_until_ready(service).await?;
    }
    redis.freeze()?;
    for service in all {
        wait_until_unready(service, "does not answer within").await?;
    }
    redis.thaw()?;
    for service in all {
        wait_until_ready(service).await?;
    }
    redis.kill().await?;
    for service in all {
        wait_until_unready(service, "Redis").await?;
    }
    wait_until_unready(&group, "not subscribed").await?;
    assert_eq!(calls::get(&group, "/health").await?.status, 200, "it lives");
    redis.start_again().await?;
    for service in all {
        wait_until_ready(service).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_consumer_that_cannot_register_is_not_ready() -> Result<()> {
    let redis = redis().await?;
    let consumer = consumer_without_group(&redis, 1, &[]).await?;
    wait_until_unready(&consumer, "not registered with the group").await?;
    assert_eq!(calls::get(&consumer, "/health").await?.status, 200);
    Ok(())
}
