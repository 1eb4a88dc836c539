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
    /// Stops intake, delivers what is held within `grace`, gives up or gives back the rest, and ends
    /// every role; the REST API last, because consumers unregister while they drain, too.
    pub(super) async fn drain(mut self, grace: Duration) -> anyhow::Result<()> {
        self.stages.listening.cancel();
        let all_delivered = async {
            end_of(&mut self.listener).await;
            if let Some(durable) = &mut self.durable {
                self.intake.all_finished().await;
                self.stages.reading.cancel();
                end_of(&mut durable.reader).await;
            }
            all_delivered(&self.queue, &self.group, &self.outboxes).await;
        };
        if timeout(grace, all_delivered).await.is_err() {
            let rest = match self.durable {
                Some(_) => "others deliver the rest",
                None => "the rest goes to the dead letters",
            };
            warn!("the grace period is over; {rest}");
        }
        self.stages.reading.cancel();
        self.stages.delivering.cancel();
        end_of(&mut self.dispatcher).await;
        self.outboxes.wait().await;
        let saved = timeout(LAST_LETTERS, self.save_rest()).await;
        self.stages.following.cancel();
        self.stages.serving.cancel();
        self.group.close();
        // What a replica was handed from the durable queue is safe there; what it heard may not be. Without
        // a durable queue the two are one.
        let unsaved = self.intake.account().unfinished();
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
            received = self.intake.account().received,
            processed,
            failed = dead_lettered,
            "all work is finished; goodbye"
        );
        Ok(())
    }

    /// Writes what is back in the queue, and all that waits to be written, to the dead letters; or, with
    /// the durable queue, gives it back to that, and writes what never came there.
    async fn save_rest(&mut self) {
        let Some(mut durable) = self.durable.take() else {
            self.give_up(&self.queue).await;
            self.stages.writing.cancel();
            end_of(&mut self.writer).await;
            return;
        };
        end_of(&mut durable.enqueuer).await;
        end_of(&mut durable.reader).await;
        self.give_up(&self.intake).await;
        self.stages.writing.cancel();
        end_of(&mut self.writer).await;
        end_of(&mut durable.settler).await;
        durable.leave(self.queue.take(usize::MAX)).await;
    }

    /// Sends all that waits in a queue to the dead letters.
    async fn give_up(&self, queue: &MemoryQueue) {
        for delivery in queue.take(usize::MAX) {
            let letter = Letter::of(delivery, DeadLetterReason::Shutdown);
            if self.letters.send(letter).await.is_err() {
                error!("the dead letter writer ended too early");
                return;
            }
        }
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
async fn end_of(task: &mut JoinHandle<()>) {
    if task.is_finished() {
        return;
    }
    if let Err(cause) = task.await {
        error!(%cause, "a task was cut");
    }
}
