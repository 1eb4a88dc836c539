//! How the group ends: nothing it received is lost on the way out.

use std::time::Duration;

use anyhow::bail;
use service_kit::{supervisor::Supervisor, telemetry::chain};
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};
use tracing::{error, info, warn};

use super::start::Roles;
use crate::{
    consumer::registry::ConsumerGroup,
    delivery::Delivery,
    queue::{
        Account, LocalQueue,
        giving_back::{give_back, release},
    },
};

/// How often the drain looks whether anybody is left to deliver to.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// How long writing the last dead letters may take beyond the grace period.
const LAST_LETTERS: Duration = Duration::from_secs(5);

impl Roles {
    /// Stops intake, delivers what is held within `grace`, gives back the rest, and ends
    /// every role; the REST API last, because consumers unregister while they drain, too.
    pub(super) async fn drain(mut self, grace: Duration) -> anyhow::Result<()> {
        let shared = &self.shared;
        shared.phases.listening.cancel();
        let all_delivered = async {
            end_of(&mut self.listener).await;
            shared.buffer.is_emptied().await;
            shared.phases.reading.cancel();
            end_of(&mut self.reader).await;
            all_delivered(&shared.local_queue, &shared.group, &shared.senders).await;
        };
        if timeout(grace, all_delivered).await.is_err() {
            warn!("the grace period is over; others deliver the rest");
        }
        shared.phases.reading.cancel();
        shared.leasing.close();
        shared.phases.delivering.cancel();
        end_of(&mut self.dispatcher).await;
        shared.senders.wait().await;
        let saved = timeout(LAST_LETTERS, self.save_rest()).await;
        let shared = &self.shared;
        shared.phases.following.cancel();
        shared.phases.serving.cancel();
        shared.group.close();
        // What a replica was handed is safe in Redis; what it heard may not be.
        let unsaved = shared.buffer.len();
        if unsaved > 0 {
            bail!("{unsaved} messages could not be saved: Redis did not take them in time");
        }
        if saved.is_err() {
            bail!("Redis could not be told in time what is finished; others deliver that again");
        }
        shared.supervisor.wait().await;
        let Account {
            processed,
            dead_lettered,
            ..
        } = shared.local_queue.account();
        info!(
            received = shared.buffer.received(),
            processed,
            failed = dead_lettered,
            "all work is finished; goodbye"
        );
        Ok(())
    }

    /// Settles and writes all that waits for it, and gives back the rest.
    async fn save_rest(&mut self) {
        end_of(&mut self.admission).await;
        end_of(&mut self.reader).await;
        self.shared.phases.writing.cancel();
        end_of(&mut self.writer).await;
        end_of(&mut self.settler).await;
        // Before anything is given back: a sign of life would make others wait again.
        self.shared.phases.keeping_leases.cancel();
        end_of(&mut self.lease_keeper).await;
        self.give_back(self.shared.local_queue.take(usize::MAX))
            .await;
    }

    /// Gives back what was not delivered, so that another reader has it at once, and takes leave.
    async fn give_back(&self, rest: Vec<Delivery>) {
        if !rest.is_empty() {
            let messages = rest.len();
            info!(messages, "giving back what was not delivered");
        }
        let leases = &self.shared.receiver.leases;
        let left = async {
            give_back(leases, &rest).await?;
            leases.leave().await
        };
        if let Err(cause) = left.await {
            let cause = chain(&cause);
            warn!(
                cause,
                "cannot give back to the queue; others take it over in time"
            );
        }
        // Not before: what is held no more is not given back by taking leave.
        release(rest);
    }
}

/// Waits until nothing is left to deliver, or nobody to deliver it to.
async fn all_delivered(queue: &LocalQueue, group: &ConsumerGroup, senders: &Supervisor) {
    let nobody_left = async {
        while !(group.is_empty() && senders.is_empty()) {
            sleep(LOOK_AGAIN).await;
        }
    };
    tokio::select! {
        () = queue.all_finished() => {}
        () = nobody_left => {}
    }
}

/// Waits for the end of a task; a second time it returns at once.
async fn end_of(task: &mut JoinHandle<()>) {
    if task.is_finished() {
        return;
    }
    if let Err(cause) = task.await {
        error!(%cause, "a task was cut");
    }
}
