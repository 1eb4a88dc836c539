//! How it goes while messages are published: a line a second, and a consumer that is killed on the way.

use std::time::Duration;

use anyhow::{Context, Result};
use local_stack::{
    Binaries, Stack,
    redis::{AsyncCommands, aio::MultiplexedConnection},
};
use protocol::keys::CONSUMER_LIST;
use tokio::time::{Instant, sleep_until};

use crate::{
    account,
    output::{count, say},
};

/// For how many seconds messages are published.
pub(super) const SECONDS: u64 = 4;

/// The second after which a consumer is killed, and the one after which another takes its place.
const KILLED_AFTER: u64 = 1;
const REPLACED_AFTER: u64 = 2;

/// Shows how many messages are processed, until all are or the time for it is over.
pub(super) async fn show(stack: &mut Stack, binaries: &Binaries, messages: u64) -> Result<()> {
    let mut connection = stack.redis.connect().await?;
    let (started, mut before) = (Instant::now(), 0);
    for second in 1..=SECONDS + 1 {
        sleep_until(started + Duration::from_secs(second)).await;
        let processed = account::settled(&mut connection).await?;
        let consumers = consumers(&mut connection).await?;
        say(&format!(
            "  {second} s  {:>9} processed  {:>9}/s  {consumers} consumers",
            count(processed),
            count(processed - before)
        ));
        before = processed;
        if processed >= messages {
            return Ok(());
        }
        if second == KILLED_AFTER {
            let mut killed = stack.consumers.pop().context("there is no consumer")?;
            killed.kill().await?;
            say(&format!("       {} is killed", killed.address()));
        }
        if second == REPLACED_AFTER {
            stack.add_consumer(binaries, &[]).await?;
            let added = stack.consumers.last().context("there is no consumer")?;
            say(&format!("       {} takes its place", added.address()));
        }
    }
    Ok(())
}

/// How many consumers are in the group.
async fn consumers(connection: &mut MultiplexedConnection) -> Result<u64> {
    Ok(connection.llen(CONSUMER_LIST).await?)
}
