//! How the group ends: nothing it received is lost on the way out.

use std::time::Duration;

use anyhow::bail;
use protocol::DeadLetterReason;
use service_kit::supervisor::Supervisor;
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};
use tracing::{error, info, warn};

use super::start::Running;
use crate::{
    consumer_group::ConsumerGroup,
    dead_letter_writer::Letter,
    queue::{Account, MemoryQueue},
};

/// How often the drain looks whether anybody is left to deliver to.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// How long writing the last dead letters may take beyond the grace period.
const LAST_LETTERS: Duration = Duration::from_secs(5);

impl Running {
    /// Stops intake, delivers what is held within `grace`, writes the rest to the dead letters, and
    /// ends every role; the REST API last, because consumers unregister while they drain, too.
    pub(super) async fn drain(mut self, grace: Duration) -> anyhow::Result<()> {
        self.stages.listening.cancel();
        let all_delivered = async {
            end_of(&mut self.listener).await;
            all_delivered(&self.queue, &self.group, &self.outboxes).await;
        };
        if timeout(grace, all_delivered).await.is_err() {
            warn!("the grace period is over; the rest goes to the dead letters");
        }
        self.stages.delivering.cancel();
        end_of(&mut self.dispatcher).await;
        self.outboxes.wait().await;
        let saved = timeout(LAST_LETTERS, self.save_rest()).await;
        self.stages.following.cancel();
        self.stages.serving.cancel();
        self.group.close();
        let account = self.queue.account();
        if saved.is_err() {
            bail!(
                "{} messages could not be saved: Redis did not take them in time",
                account.unfinished()
            );
        }
        self.supervisor.wait().await;
        let Account {
            received,
            processed,
            dead_lettered,
            ..
        } = account;
        info!(
            received,
            processed,
            failed = dead_lettered,
            "all work is finished; goodbye"
        );
        Ok(())
    }

    /// Writes what is back in the queue, and all that waits to be written, to the dead letters.
    async fn save_rest(&mut self) {
        for delivery in self.queue.take(usize::MAX) {
            let letter = Letter::of(delivery, DeadLetterReason::Shutdown);
            if self.letters.send(letter).await.is_err() {
                error!("the dead letter writer ended too early");
                return;
            }
        }
        self.stages.writing.cancel();
        end_of(&mut self.writer).await;
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

async fn end_of(task: &mut JoinHandle<()>) {
    if let Err(cause) = task.await {
        error!(%cause, "a task was cut");
    }
}
