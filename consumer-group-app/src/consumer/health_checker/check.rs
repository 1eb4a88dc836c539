//! The check of one consumer.

use std::time::Duration;

use protocol::ConsumerId;
use tokio::{
    task::{JoinError, JoinSet},
    time::{Instant, sleep, sleep_until},
};

use crate::consumer::client::{ConsumerClient, Health};

/// How many checks a consumer must fail to be removed, unless nothing listens at its address at all.
const CHECKS: u32 = 3;

/// How many checks are made at the most, when some of them tell nothing.
const MOST_CHECKS: u32 = 10;

/// The least time between two checks of a consumer.
pub(super) const CHECK_AGAIN: Duration = Duration::from_secs(1);

/// What the check of a consumer found, and when it ended.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) id: ConsumerId,
    pub(super) health: Health,
    pub(super) at: Instant,
}

/// Checks one consumer, more than once if need be.
pub(super) async fn check(
    client: ConsumerClient,
    id: ConsumerId,
    not_before: Option<Instant>,
) -> Checked {
    sleep_until(not_before.unwrap_or_else(Instant::now)).await;
    let mut failed = 0;
    let mut health = client.health(&id).await;
    for _ in 1..MOST_CHECKS {
        match health {
            Health::Up(_) | Health::Gone | Health::NoConsumer => break,
            Health::Down(_) => failed += 1,
            Health::Unknown(_) => {}
        }
        if failed == CHECKS {
            break;
        }
        sleep(CHECK_AGAIN).await;
        health = client.health(&id).await;
    }
    ended(id, health)
}

/// Asks one consumer once.
pub(super) async fn look(client: ConsumerClient, id: ConsumerId) -> Checked {
    let health = client.health(&id).await;
    ended(id, health)
}

fn ended(id: ConsumerId, health: Health) -> Checked {
    Checked {
        id,
        health,
        at: Instant::now(),
    }
}

/// What ended, and all else that has ended meanwhile; `None` when one of them panicked.
pub(super) fn all_ended(
    first: Result<Checked, JoinError>,
    tasks: &mut JoinSet<Checked>,
) -> Option<Vec<Checked>> {
    let mut ended = vec![first.ok()?];
    while let Some(next) = tasks.try_join_next() {
        ended.push(next.ok()?);
    }
    Some(ended)
}
