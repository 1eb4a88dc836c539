//! What the roles of the group share, and the channels in which they meet.

use std::sync::Arc;

use anyhow::Context;
use redis_bus::{
    Connection, Endpoint,
    chunk_queue::{ChunkQueue, ChunkReader},
    consumer_list::ConsumerList,
    probe::{Need, Probe},
};
use service_kit::supervisor::Supervisor;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use crate::{
    consumer::{
        client::ConsumerClient,
        registry::ConsumerGroup,
        sender::{FailedDelivery, Senders},
        sweeps::{Suspicion, Sweeps},
    },
    dead_letters::writer::{self, Letter},
    dispatch::retry_budget::RetryBudget,
    intake::{Buffer, Publish, subscription_health::SubscriptionHealth},
    leasing::Leasing,
    observe::metrics::GroupMetrics,
    queue::{
        LocalQueue,
        receiver::ChunkReceiver,
        recorder::Recorder,
        settler::{self, Settling},
    },
    settings::Settings,
};

/// How many failed deliveries may wait for the dispatcher.
const FAILED: usize = 1024;

/// How many consumers may wait for a health check.
const SUSPECTS: usize = 64;

/// How many requests that publish may wait for admission.
const PUBLISHING: usize = 16;

/// The tokens that end the roles, in the order in which they end.
#[derive(Debug, Default)]
pub(super) struct ShutdownPhases {
    pub(super) listening: CancellationToken,
    pub(super) reading: CancellationToken,
    pub(super) delivering: CancellationToken,
    pub(super) writing: CancellationToken,
    pub(super) keeping_leases: CancellationToken,
    pub(super) following: CancellationToken,
    pub(super) serving: CancellationToken,
}

/// What several roles use.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) supervisor: Supervisor,
    pub(super) phases: ShutdownPhases,
    pub(super) endpoint: Endpoint,
    pub(super) connection: Connection,
    pub(super) list: ConsumerList,
    pub(super) client: ConsumerClient,
    /// The queue in Redis.
    pub(super) queue: ChunkQueue,
    /// What was heard and is not in the queue yet.
    pub(super) buffer: Buffer,
    /// The messages of the queue that this replica was handed.
    pub(super) local_queue: LocalQueue,
    pub(super) leasing: Leasing,
    pub(super) receiver: ChunkReceiver,
    pub(super) group: ConsumerGroup,
    /// The tasks of the senders.
    pub(super) senders: Supervisor,
    pub(super) budget: Arc<RetryBudget>,
    /// Notified when a consumer has room again or the members change.
    pub(super) changed: Arc<Notify>,
    pub(super) letters: mpsc::Sender<Letter>,
    pub(super) publish: mpsc::Sender<Publish>,
    pub(super) sweeps: Sweeps,
    pub(super) subscription: SubscriptionHealth,
    pub(super) metrics: GroupMetrics,
}

/// What one role alone takes.
pub(super) struct Inputs {
    pub(super) reader: ChunkReader,
    pub(super) letters: mpsc::Receiver<Letter>,
    pub(super) settlements: mpsc::Receiver<Settling>,
    pub(super) failed: mpsc::Receiver<FailedDelivery>,
    pub(super) published: mpsc::Receiver<Publish>,
    pub(super) suspects: mpsc::Receiver<Suspicion>,
}

/// Where others send what those roles take.
struct Outputs {
    letters: mpsc::Sender<Letter>,
    settlements: mpsc::Sender<Settling>,
    failed: mpsc::Sender<FailedDelivery>,
    publish: mpsc::Sender<Publish>,
    suspects: mpsc::Sender<Suspicion>,
}

fn channels(reader: ChunkReader) -> (Outputs, Inputs) {
    let (letters, letters_to_write) = mpsc::channel(writer::WAITING);
    let (settlements, to_settle) = mpsc::channel(settler::WAITING);
    let (failed, failed_deliveries) = mpsc::channel(FAILED);
    let (publish, published) = mpsc::channel(PUBLISHING);
    let (suspects, suspected) = mpsc::channel(SUSPECTS);
    let outputs = Outputs {
        letters,
        settlements,
        failed,
        publish,
        suspects,
    };
    let inputs = Inputs {
        reader,
        letters: letters_to_write,
        settlements: to_settle,
        failed: failed_deliveries,
        published,
        suspects: suspected,
    };
    (outputs, inputs)
}

impl Shared {
    pub(super) fn new(settings: Settings, endpoint: Endpoint) -> anyhow::Result<(Self, Inputs)> {
        let supervisor = Supervisor::new();
        let senders = supervisor.section();
        let (phases, changed) = (ShutdownPhases::default(), Arc::<Notify>::default());
        let metrics = GroupMetrics::new().context("cannot set up the metrics")?;
        let (budget, bounds) = (Arc::new(RetryBudget::new()), settings.delivery.bounds());
        let connection = Connection::new(endpoint.clone());
        let queue = ChunkQueue::new(connection.clone(), &settings.names.processed_stream);
        let (outputs, inputs) = channels(ChunkReader::new(queue.clone()));
        let timeout = settings.delivery.attempt_timeout();
        let (buffer, client) = (Buffer::new(bounds), ConsumerClient::new(timeout));
        let local_queue = LocalQueue::timed(bounds.bytes, metrics.message_seconds.clone());
        let all_senders = Senders {
            client: client.clone(),
            budget: Arc::clone(&budget),
            settlements: outputs.settlements,
            buffer: buffer.clone(),
            failed: outputs.failed.clone(),
            suspects: outputs.suspects,
            request_seconds: metrics.request_seconds.clone(),
            room: Arc::clone(&changed),
            supervisor: senders.clone(),
            stop: phases.delivering.clone(),
            most: settings.consumers.most(),
        };
        let group = ConsumerGroup::new(all_senders, Arc::clone(&changed));
        let recorder = Recorder::new(&queue, settings.retention.processed_max_len, &buffer);
        let leasing = Leasing::new(recorder, &local_queue, outputs.failed, (&budget, &changed));
        let receiver = ChunkReceiver {
            leasing: leasing.clone(),
            leases: inputs.reader.leases().clone(),
            reader: inputs.reader.name().into(),
            messages: local_queue.clone(),
            group: group.clone(),
            letters: outputs.letters.clone(),
            max_deliveries: settings.delivery.max_deliveries(),
        };
        let shared = Self {
            list: ConsumerList::new(connection.clone(), settings.names.consumer_list.clone()),
            settings,
            supervisor,
            phases,
            endpoint,
            connection,
            client,
            queue,
            buffer,
            local_queue,
            leasing,
            receiver,
            group,
            senders,
            budget,
            changed,
            letters: outputs.letters,
            publish: outputs.publish,
            sweeps: Sweeps::default(),
            subscription: SubscriptionHealth::default(),
            metrics,
        };
        Ok((shared, inputs))
    }

    /// How many consumers may be registered.
    pub(super) fn capacity(&self) -> usize {
        self.settings.consumers.max_consumer_group_size.get()
    }

    /// Finds out whether Redis would take what the group writes.
    pub(super) fn probe(&self) -> Probe {
        let mut needs = vec![Need::list(&self.settings.names.consumer_list)];
        needs.extend(self.queue.needs());
        Probe::new(self.connection.clone(), needs)
    }
}
