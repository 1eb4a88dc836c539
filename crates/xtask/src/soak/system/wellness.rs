//! Whether the system is well: everybody is there, and nothing waits in a replica's memory.

use std::time::Duration;

use anyhow::{Result, bail};
use local_stack::{
    redis::{aio::MultiplexedConnection, cmd, pipe},
    usage,
};
use protocol::keys::{CONSUMER_LIST, PUBLISHED_CHANNEL};
use tokio::time::{Instant, sleep};

use super::{REPLICAS, System};
use crate::soak::status::Status;

/// How long the system may take to be well again.
const DEADLINE: Duration = Duration::from_secs(90);

/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

impl System {
    /// Waits until it is well; answers how long that took.
    pub(in crate::soak) async fn well(&self) -> Result<Duration> {
        let started = Instant::now();
        loop {
            let Some(missing) = self.missing().await? else {
                return Ok(started.elapsed());
            };
            if started.elapsed() > DEADLINE {
                bail!("the system is not well {DEADLINE:?} later: {missing}");
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// What keeps the system from being well.
    async fn missing(&self) -> Result<Option<String>> {
        for part in &self.parts {
            if usage::memory_bytes(part.service.pid()).is_err() {
                bail!("{} has ended by itself", part.process);
            }
        }
        if let Some(missing) = self.missing_in_redis(&mut self.connect().await?).await? {
            return Ok(Some(missing));
        }
        for (number, url) in self.replicas().iter().enumerate() {
            let replica = number + 1;
            match Status::read(url).await {
                Err(cause) => return Ok(Some(format!("replica-{replica}: {cause:#}"))),
                Ok(status) if status.active() != self.members() => {
                    let active = status.active();
                    return Ok(Some(format!("replica-{replica} has active: {active:?}")));
                }
                Ok(status) if status.buffered > 0 => {
                    let buffered = status.buffered;
                    return Ok(Some(format!("replica-{replica} buffers {buffered}")));
                }
                Ok(_) => {}
            }
        }
        Ok(None)
    }

    async fn missing_in_redis(&self, redis: &mut MultiplexedConnection) -> Result<Option<String>> {
        let (heard_by, mut members): ((String, usize), Vec<String>) = pipe()
            .cmd("PUBSUB")
            .arg(&["NUMSUB", PUBLISHED_CHANNEL])
            .lrange(CONSUMER_LIST, 0, -1)
            .query_async(redis)
            .await?;
        members.sort();
        if heard_by.1 != REPLICAS {
            return Ok(Some(format!("{} subscribers", heard_by.1)));
        }
        if members != self.members() {
            return Ok(Some(format!("registered are {members:?}")));
        }
        let behind = subscribers(redis).await?;
        if behind.iter().any(|subscriber| subscriber.waiting) {
            return Ok(Some("a subscriber has not heard all yet".to_owned()));
        }
        Ok(None)
    }
}

/// A client of Redis that is subscribed to the channel.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::soak) struct Subscriber {
    pub(in crate::soak) id: u64,
    /// Whether Redis has output for it that it did not take yet.
    pub(in crate::soak) waiting: bool,
}

/// All of them, the one that came first first.
pub(in crate::soak) async fn subscribers(
    redis: &mut MultiplexedConnection,
) -> Result<Vec<Subscriber>> {
    let mut command = cmd("CLIENT");
    command.arg(&["LIST", "TYPE", "pubsub"]);
    let text: String = command.query_async(redis).await?;
    let mut subscribers: Vec<_> = text.lines().filter_map(parse).collect();
    subscribers.sort_by_key(|subscriber| subscriber.id);
    Ok(subscribers)
}

/// Reads a line such as `id=7 addr=… sub=1 … omem=0 …`.
fn parse(line: &str) -> Option<Subscriber> {
    let field = |name: &str| -> Option<u64> {
        let mut fields = line.split(' ').filter_map(|field| field.split_once('='));
        let (_, value) = fields.find(|(key, _)| *key == name)?;
        value.parse().ok()
    };
    (field("sub")? > 0).then_some(Subscriber {
        id: field("id")?,
        waiting: field("omem")? > 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscriber_is_told_by_what_redis_says_of_it() {
        let line = "id=7 addr=127.0.0.1:1 laddr=127.0.0.1:2 sub=1 psub=0 omem=20504 cmd=subscribe";
        let known = Subscriber {
            id: 7,
            waiting: true,
        };
        assert_eq!(parse(line), Some(known));
        assert_eq!(parse("id=8 sub=0 omem=0"), None, "it follows a key");
    }
}
