//! What there is besides with `--queue stream`: the way to the durable queue and back.

use std::time::Duration;

use redis_bus::queue::{DurableQueue, QueueReader, Receipt};
use service_kit::telemetry::chain;
use tokio::{sync::mpsc, task::JoinHandle};
use tracing::{info, warn};

use super::ground::Ground;
use crate::{
    consumer_group::ConsumerGroup,
    delivery::{Delivery, Ending},
    enqueuer::Enqueuer,
    queue::MemoryQueue,
    reader::{KeepAlive, Reader},
    settler::{Settler, Settling},
};

/// The roles at work for the durable queue.
#[derive(Debug)]
pub(super) struct Durable {
    pub(super) queue: DurableQueue,
    /// The name this replica reads under.
    pub(super) reader_name: String,
    pub(super) enqueuer: JoinHandle<()>,
    pub(super) reader: JoinHandle<()>,
    pub(super) settler: JoinHandle<()>,
}

impl Durable {
    /// Starts the roles. What the listener heard comes through `ground.intake`; what this replica is
    /// handed goes to `ground.queue`.
    pub(super) fn start(
        ground: &Ground,
        queue: DurableQueue,
        group: &ConsumerGroup,
        settled: mpsc::Receiver<Settling>,
        max_deliveries: u64,
    ) -> Self {
        let stages = &ground.stages;
        let spawn = &ground.supervisor;
        let settler = Settler::new(queue.clone(), settled);
        let settler = spawn.spawn("settler", stages.writing.clone(), settler);
        let reader = QueueReader::new(ground.endpoint.clone(), queue.clone());
        let reader_name = reader.name().to_owned();
        let keep_alive = KeepAlive(reader.keeper());
        // Until the end: what is held must not be taken over while it is finished.
        spawn.spawn("keep alive", stages.following.clone(), keep_alive);
        let handed: MemoryQueue = ground.queue.clone();
        let letters = ground.letters.clone();
        let reader = Reader::new(reader, handed, group.clone(), letters, max_deliveries);
        let reader = spawn.spawn("reader", stages.reading.clone(), reader);
        let enqueuer = Enqueuer::new(ground.intake.clone(), queue.clone());
        let enqueuer = spawn.spawn("enqueuer", stages.reading.clone(), enqueuer);
        Self {
            queue,
            reader_name,
            enqueuer,
            reader,
            settler,
        }
    }

    /// Gives back what was not delivered, so that another reader has it at once, and takes leave.
    pub(super) async fn leave(&self, rest: Vec<Delivery>) {
        let entry = |delivery: &Delivery| {
            let held = &delivery.held;
            let receipt = held.receipt.as_deref().map(Receipt::entry)?;
            // One that was never tried does not count as handed out.
            let counts = u64::from(held.attempts > held.fruitless);
            Some((receipt.clone(), held.deliveries_before + counts))
        };
        let entries: Vec<_> = rest.iter().filter_map(entry).collect();
        if !entries.is_empty() {
            info!(
                messages = entries.len(),
                "giving back what was not delivered"
            );
        }
        // First, so that they are not kept alive any more: that would make others wait again.
        rest.into_iter()
            .for_each(|delivery| delivery.finish(Ending::Elsewhere));
        let left = async {
            self.queue
                .give_back(&self.reader_name, &entries, Duration::ZERO)
                .await?;
            self.queue.forget_reader(&self.reader_name).await
        };
        if let Err(cause) = left.await {
            let cause = chain(&cause);
            warn!(
                cause,
                "cannot give back to the durable queue; others take it over in time"
            );
        }
    }
}
