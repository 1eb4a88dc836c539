//! What a consumer that pulls has no room for is for others.

use anyhow::Result;
use harness::{Bus, Chunks, PATIENCE, bus::repeated, services::redis, wait_until};

use crate::pull_chunks::{numbers, puller};

#[tokio::test]
async fn of_a_chunk_a_consumer_keeps_what_it_works_on_and_others_have_the_rest() -> Result<()> {
    let redis = redis().await?;
    let (chunks, bus) = (Chunks::of(&redis)?, Bus::of(&redis));
    let for_ever = ["--processingDelayMs", "600000"];
    let busy = [&["--processingConcurrency", "2"][..], &for_ever].concat();
    let _busy = puller(&redis, &busy).await?;
    chunks.admit_ids(&numbers(0..500)).await?;
    wait_until("it to have begun two", PATIENCE, async || {
        Ok(chunks.account().await?.in_flight == 2)
    })
    .await?;
    let fast = ["--processingConcurrency", "4", "--processingDelayMs", "1"];
    let _free = [puller(&redis, &fast).await?, puller(&redis, &[]).await?];
    let processed = bus.wait_for_processed(498).await?;
    assert_eq!(processed.len(), 498);
    assert_eq!(repeated(&processed)?, [""; 0]);
    let account = chunks.account().await?;
    assert_eq!((account.received, account.processed), (500, 498));
    assert_eq!((account.in_flight, account.waiting), (2, 0));
    Ok(())
}
