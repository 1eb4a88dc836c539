//! What the parts of the group stand on, and how they meet.

use std::sync::Arc;

use anyhow::Context;
use protocol::ConsumerId;
use redis_bus::{
    Connection, Endpoint,
    chunk_queue::ChunkQueue,
    commit::{ProcessedStream, Retention},
    consumer_list::ConsumerList,
    probe::{Need, Probe},
};
use service_kit::supervisor::Supervisor;
use tokio::{
    sync::{Notify, mpsc},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::{
    consumer::{
        client::ConsumerClient,
        health_checker::{HealthChecker, Rules},
        membership::Mirror,
        registry::ConsumerGroup,
        sender::Outboxes,
        sweeps::Sweeps,
        window::Most,
    },
    dead_letters::writer::{DeadLetterWriter, Letter},
    dispatch::{
        dispatcher::{Dispatcher, Pending},
        retry::RetryBudget,
    },
    intake::{Buffer, listener::Listener, subscription_health::Gaps},
    observe::{metrics::GroupMeters, server_checker::ServerChecker, throughput::Throughput},
    queue::{MemoryQueue, settler::Settling},
    settings::{Consumers, DeliverySettings, Names},
};

/// How many failed deliveries may wait for the dispatcher.
const RETURNS: usize = 1024;

/// How many consumers may wait for a health check.
const SUSPECTS: usize = 64;

/// The tokens that end the roles, in the order in which they end.
#[derive(Debug, Default)]
pub(super) struct Stages {
    pub(super) listening: CancellationToken,
    pub(super) reading: CancellationToken,
    pub(super) delivering: CancellationToken,
    pub(super) writing: CancellationToken,
    pub(super) following: CancellationToken,
    pub(super) serving: CancellationToken,
}

/// What several parts stand on.
pub(super) struct Ground {
    pub(super) supervisor: Supervisor,
    pub(super) stages: Stages,
    pub(super) endpoint: Endpoint,
    pub(super) connection: Connection,
    pub(super) list: ConsumerList,
    client: ConsumerClient,
    pub(super) buffer: Buffer,
    pub(super) queue: MemoryQueue,
    pub(super) chunks: ChunkQueue,
    pub(super) letters: mpsc::Sender<Letter>,
    pub(super) meters: GroupMeters,
    pub(super) budget: Arc<RetryBudget>,
}

/// The part that delivers.
pub(super) struct Delivering {
    pub(super) group: ConsumerGroup,
    pub(super) outboxes: Supervisor,
    pub(super) dispatcher: JoinHandle<()>,
    pub(super) suspected: mpsc::Receiver<ConsumerId>,
}

impl Ground {
    pub(super) fn new(
        endpoint: Endpoint,
        letters: mpsc::Sender<Letter>,
        names: &Names,
        delivery: &DeliverySettings,
    ) -> anyhow::Result<Self> {
        let connection = Connection::new(endpoint.clone());
        let meters = GroupMeters::new().context("cannot set up the metrics")?;
        let queue = MemoryQueue::timed(delivery.bounds().bytes, meters.message_seconds.clone());
        let chunks = ChunkQueue::new(connection.clone(), &names.processed_stream);
        Ok(Self {
            supervisor: Supervisor::new(),
            stages: Stages::default(),
            list: ConsumerList::new(connection.clone(), names.consumer_list.clone()),
            client: ConsumerClient::new(delivery.attempt_timeout()),
            endpoint,
            connection,
            buffer: Buffer::new(delivery.bounds()),
            queue,
            chunks,
            letters,
            meters,
            budget: Arc::new(RetryBudget::new()),
        })
    }

    /// What tells whether Redis would take what the group writes.
    pub(super) fn probe(&self, names: &Names) -> Probe {
        let mut needs = vec![Need::list(&names.consumer_list)];
        needs.extend(self.chunks.needs());
        Probe::new(self.connection.clone(), needs)
    }

    /// Starts the way to the dead letters.
    pub(super) fn write_letters(&self, letters: mpsc::Receiver<Letter>) -> JoinHandle<()> {
        let (queue, buffer) = (self.chunks.clone(), self.buffer.clone());
        let written = self.meters.dead_letters.clone();
        let writer = DeadLetterWriter::new(queue, buffer, letters, written);
        let writing = self.stages.writing.clone();
        self.supervisor.spawn("dead letter writer", writing, writer)
    }

    /// Starts the way from the queue to the consumers.
    pub(super) fn deliver(
        &self,
        consumers: &Consumers,
        delivery: &DeliverySettings,
        settlements: mpsc::Sender<Settling>,
    ) -> Delivering {
        let outboxes = self.supervisor.section();
        let budget = Arc::clone(&self.budget);
        let changed = Arc::new(Notify::new());
        let (returns, returned) = mpsc::channel(RETURNS);
        let (suspects, suspected) = mpsc::channel(SUSPECTS);
        let opener = Outboxes {
            client: self.client.clone(),
            budget: Arc::clone(&budget),
            settlements,
            buffer: self.buffer.clone(),
            returns,
            suspects,
            request_seconds: self.meters.request_seconds.clone(),
            room: Arc::clone(&changed),
            supervisor: outboxes.clone(),
            stop: self.stages.delivering.clone(),
            most: Most {
                requests: consumers.max_in_flight_per_consumer.get().into(),
                batch: consumers.max_batch.get().into(),
            },
        };
        let group = ConsumerGroup::new(opener, Arc::clone(&changed));
        let dispatcher = Dispatcher {
            queue: self.queue.clone(),
            buffer: self.buffer.clone(),
            group: group.clone(),
            returns: returned,
            letters: self.letters.clone(),
            policy: delivery.policy(),
            budget,
            selection: consumers.selection,
            changed,
            pending: Pending::default(),
        };
        let stage = self.stages.delivering.clone();
        let dispatcher = self.supervisor.spawn("dispatcher", stage, dispatcher);
        Delivering {
            group,
            outboxes,
            dispatcher,
            suspected,
        }
    }

    /// Starts what keeps the group true to the list in Redis; answers where checks of all are asked for.
    pub(super) fn follow(
        &self,
        group: &ConsumerGroup,
        suspected: mpsc::Receiver<ConsumerId>,
        consumers: &Consumers,
        names: &Names,
    ) -> Sweeps {
        let stage = || self.stages.following.clone();
        let capacity = consumers.max_consumer_group_size.get();
        let rules = Rules {
            every: consumers.health_check_interval(),
            capacity,
        };
        let (list, client) = (self.list.clone(), self.client.clone());
        let checker = HealthChecker::new(list, group.clone(), client, suspected, rules);
        let sweeps = checker.sweeps.clone();
        self.supervisor.spawn("health checker", stage(), checker);
        let key = names.consumer_list.clone();
        let mirror = Mirror::new(
            self.endpoint.clone(),
            key,
            group.clone(),
            sweeps.clone(),
            capacity,
        );
        self.supervisor.spawn("mirror", stage(), mirror);
        sweeps
    }

    /// Starts what tells of the group and of its Redis.
    pub(super) fn watch(&self, group: &ConsumerGroup, names: &Names, retention: Retention) {
        let stage = || self.stages.following.clone();
        let stream = names.processed_stream.clone();
        let processed = ProcessedStream::new(self.connection.clone(), stream, retention);
        let throughput = Throughput {
            queue: self.queue.clone(),
            group: group.clone(),
            processed,
        };
        self.supervisor.spawn("throughput", stage(), throughput);
        let checker = ServerChecker {
            connection: self.connection.clone(),
        };
        self.supervisor.spawn("server checker", stage(), checker);
    }

    /// Starts the intake.
    pub(super) fn listen(&self, channel: String, gaps: Gaps) -> JoinHandle<()> {
        let (endpoint, buffer) = (self.endpoint.clone(), self.buffer.clone());
        let listener = Listener::new(endpoint, channel, buffer, gaps);
        self.supervisor
            .spawn("listener", self.stages.listening.clone(), listener)
    }
}
