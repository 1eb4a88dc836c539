//! How the group ends: nothing it received is lost on the way out.

use std::time::Duration;

use anyhow::bail;
use service_kit::supervisor::Supervisor;
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};
use tracing::{error, info, warn};

use super::start::Running;
use crate::{
    consumer::registry::ConsumerGroup,
    queue::{Account, MemoryQueue},
};

/// How often the drain looks whether anybody is left to deliver to.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// How long writing the last dead letters may take beyond the grace period.
const LAST_LETTERS: Duration = Duration::from_secs(5);

impl Running {
    /// Stops intake, delivers what is held within `grace`, gives back the rest, and ends
    /// every role; the REST API last, because consumers unregister while they drain, too.
    pub(super) async fn drain(mut self, grace: Duration) -> anyhow::Result<()> {
        self.stages.listening.cancel();
        let all_delivered = async {
            end_of(&mut self.listener).await;
            self.buffer.is_emptied().await;
            self.stages.reading.cancel();
            end_of(&mut self.queue_roles.reader).await;
            all_delivered(&self.queue, &self.group, &self.outboxes).await;
        };
        if timeout(grace, all_delivered).await.is_err() {
            warn!("the grace period is over; others deliver the rest");
        }
        self.stages.reading.cancel();
        self.stages.delivering.cancel();
        end_of(&mut self.dispatcher).await;
        self.outboxes.wait().await;
        let saved = timeout(LAST_LETTERS, self.save_rest()).await;
        self.stages.following.cancel();
        self.stages.serving.cancel();
        self.group.close();
        // What a replica was handed is safe in Redis; what it heard may not be.
        let unsaved = self.buffer.len();
        if unsaved > 0 {
            bail!("{unsaved} messages could not be saved: Redis did not take them in time");
        }
        if saved.is_err() {
            bail!("Redis could not be told in time what is finished; others deliver that again");
        }
        self.supervisor.wait().await;
        let Account {
            processed,
            dead_lettered,
            ..
        } = self.queue.account();
        info!(
            received = self.buffer.received(),
            processed,
            failed = dead_lettered,
            "all work is finished; goodbye"
        );
        Ok(())
    }

    /// Settles and writes all that waits for it, and gives back the rest.
    async fn save_rest(&mut self) {
        end_of(&mut self.queue_roles.admission).await;
        end_of(&mut self.queue_roles.reader).await;
        self.stages.writing.cancel();
        end_of(&mut self.writer).await;
        end_of(&mut self.queue_roles.settler).await;
        self.queue_roles.leave(self.queue.take(usize::MAX)).await;
    }
}

/// Waits until nothing is left to deliver, or nobody to deliver it to.
async fn all_delivered(queue: &MemoryQueue, group: &ConsumerGroup, outboxes: &Supervisor) {
    let nobody_left = async {
        while !(group.is_empty() && outboxes.is_empty()) {
            sleep(LOOK_AGAIN).await;
        }
    };
    tokio::select! {
        () = queue.all_finished() => {}
        () = nobody_left => {}
    }
}

/// Waits for the end of a task; a second time it returns at once.
pub(super) async fn end_of(task: &mut JoinHandle<()>) {
    if task.is_finished() {
        return;
    }
    if let Err(cause) = task.await {
        error!(%cause, "a task was cut");
    }
}
