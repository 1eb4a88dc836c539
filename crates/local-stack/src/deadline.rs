//! Waiting for something to become true, but not for ever.

use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::{Instant, sleep};

/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(10);

/// Looks at `condition` again and again until it holds.
///
/// # Errors
/// When it does not hold in time, naming `what` was awaited, or when looking fails.
pub async fn wait_until<F>(what: &str, timeout: Duration, condition: F) -> Result<()>
where
    F: AsyncFn() -> Result<bool>,
{
    let started = Instant::now();
    while !condition().await? {
        if started.elapsed() >= timeout {
            bail!("waited {timeout:?} in vain for {what}");
        }
        sleep(POLL).await;
    }
    Ok(())
}
