//! schemathesis sends each service what its description allows and what it forbids, and finds nothing.

use std::io::{Write, stderr};

use anyhow::Result;
use harness::{
    Schemathesis, Service,
    services::{consumer, group, redis},
};

/// Every id it makes up is registered, so that the group is never full: that is a 500 by contract.
const ROOM: [&str; 2] = ["--maxConsumerGroupSize", "100000"];

async fn finds_nothing(service: &Service) -> Result<()> {
    match Schemathesis::find_or_install().await {
        Ok(schemathesis) => schemathesis.run(service).await,
        // Past the capture of the test's output: who reads it must see what was not tested.
        Err(why) => Ok(writeln!(stderr(), "SKIPPED: no schemathesis: {why}")?),
    }
}

#[tokio::test]
async fn schemathesis_finds_nothing_in_a_group() -> Result<()> {
    let redis = redis().await?;
    finds_nothing(&group(&redis, &ROOM).await?).await
}

#[tokio::test]
async fn schemathesis_finds_nothing_in_a_consumer() -> Result<()> {
    let redis = redis().await?;
    let group = group(&redis, &[]).await?;
    finds_nothing(&consumer(&redis, &group, &[]).await?).await
}
