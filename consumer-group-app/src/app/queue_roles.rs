//! The way to the queue in Redis and back.

use std::{collections::HashMap, time::Duration};

use protocol::ChunkId;
use redis_bus::chunk_queue::{ChunkReader, Lease, Leases};
use service_kit::telemetry::chain;
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::ground::Ground;
use crate::{
    consumer::registry::ConsumerGroup,
    delivery::{Delivery, Ending, Held},
    intake::{Admission, Publish},
    queue::{
        reader::{LeaseKeeper, Reader},
        receiver::Handed,
        settler::{Settler, Settling},
    },
};

/// The roles at work for the queue.
#[derive(Debug)]
pub(super) struct QueueRoles {
    /// The name this replica reads under.
    pub(super) reader_name: String,
    leases: Leases,
    keeping: CancellationToken,
    keeper: JoinHandle<()>,
    pub(super) admission: JoinHandle<()>,
    pub(super) reader: JoinHandle<()>,
    pub(super) settler: JoinHandle<()>,
}

/// What the roles start input.
pub(super) struct QueueInput {
    pub(super) settled: mpsc::Receiver<Settling>,
    pub(super) published: mpsc::Receiver<Publish>,
    /// For how long an id is remembered; zero: not at all.
    pub(super) window: Duration,
    pub(super) max_deliveries: u64,
}

impl QueueRoles {
    /// Starts the roles. What the listener heard comes through `ground.buffer`; what this replica is
    /// handed goes to `ground.queue`.
    pub(super) fn start(ground: &Ground, group: &ConsumerGroup, input: QueueInput) -> Self {
        let (stages, queue) = (&ground.stages, ground.chunks.clone());
        let spawn = &ground.supervisor;
        let settler = Settler::new(queue.clone(), input.settled);
        let settler = spawn.spawn("settler", stages.writing.clone(), settler);
        let reader = ChunkReader::new(queue.clone());
        let (reader_name, leases) = (reader.name().to_owned(), reader.leases().clone());
        let keeping = CancellationToken::new();
        let keeper = LeaseKeeper(leases.clone());
        let keeper = spawn.spawn("lease keeper", keeping.clone(), keeper);
        let handed = Handed {
            leases: leases.clone(),
            reader: reader_name.as_str().into(),
            messages: ground.queue.clone(),
            group: group.clone(),
            letters: ground.letters.clone(),
            max_deliveries: input.max_deliveries,
        };
        let reader = Reader::new(reader, handed.clone());
        let reader = spawn.spawn("reader", stages.reading.clone(), reader);
        let buffer = ground.buffer.clone();
        let admission = Admission::new(buffer, input.published, queue, handed, input.window);
        let admission = spawn.spawn("admission", stages.reading.clone(), admission);
        Self {
            reader_name,
            leases,
            keeping,
            keeper,
            admission,
            reader,
            settler,
        }
    }

    /// Gives back what was not delivered, so that another reader has it at once, and takes leave.
    pub(super) async fn leave(&mut self, rest: Vec<Delivery>) {
        if !rest.is_empty() {
            let messages = rest.len();
            info!(messages, "giving back what was not delivered");
        }
        // First: a sign of life would make others wait again.
        self.keeping.cancel();
        super::drain::end_of(&mut self.keeper).await;
        let left = async {
            for (lease, deliveries) in untried(&rest) {
                self.leases
                    .give_back(lease, deliveries, Duration::ZERO)
                    .await?;
            }
            self.leases.leave().await
        };
        if let Err(cause) = left.await {
            let cause = chain(&cause);
            warn!(
                cause,
                "cannot give back to the queue; others take it over in time"
            );
        }
        rest.into_iter()
            .for_each(|delivery| delivery.finish(Ending::Elsewhere));
    }
}

/// The chunks of which no message was tried, and how often they were handed out before: that they were here
/// does not count against their messages.
fn untried(rest: &[Delivery]) -> impl Iterator<Item = (Lease, u64)> {
    let mut chunks: HashMap<ChunkId, (&Held, bool)> = HashMap::new();
    for delivery in rest {
        let held = &delivery.held;
        let is_tried = held.attempts > held.fruitless;
        let chunk = held.leased.position.chunk();
        chunks.entry(chunk).or_insert((held, false)).1 |= is_tried;
    }
    let untried = chunks.into_values().filter(|(_, is_tried)| !is_tried);
    untried.map(|(held, _)| (held.leased.lease.clone(), held.deliveries_before))
}
