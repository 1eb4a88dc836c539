//! What the group consists of, and how its parts meet.

use std::sync::Arc;

use anyhow::Context;
use protocol::ConsumerId;
use redis_bus::{Connection, Endpoint, consumer_list::ConsumerList, dead_letters::FailedStream};
use service_kit::{http_server::HttpServer, supervisor::Supervisor};
use tokio::{
    net::TcpListener,
    sync::{Notify, mpsc},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::{
    consumer_client::ConsumerClient,
    consumer_group::ConsumerGroup,
    dead_letter_writer::{self, DeadLetterWriter, Letter},
    dispatcher::{Dispatcher, Pending},
    health_checker::{HealthChecker, Rules},
    http::{self, AppState},
    listener::Listener,
    mirror::Mirror,
    outbox::Outboxes,
    queue::MemoryQueue,
    retry::RetryBudget,
    settings::{Consumers, DeliverySettings, Names, Settings},
    throughput::Throughput,
};

/// How many failed deliveries may wait for the dispatcher.
const RETURNS: usize = 1024;

/// How many consumers may wait for a health check.
const SUSPECTS: usize = 64;

/// The tokens that end the roles, in the order in which they end.
#[derive(Debug, Default)]
pub(super) struct Stages {
    pub(super) listening: CancellationToken,
    pub(super) delivering: CancellationToken,
    pub(super) writing: CancellationToken,
    pub(super) following: CancellationToken,
    pub(super) serving: CancellationToken,
}

/// The roles at work.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) supervisor: Supervisor,
    pub(super) outboxes: Supervisor,
    pub(super) stages: Stages,
    pub(super) queue: MemoryQueue,
    pub(super) group: ConsumerGroup,
    pub(super) letters: mpsc::Sender<Letter>,
    pub(super) listener: JoinHandle<()>,
    pub(super) dispatcher: JoinHandle<()>,
    pub(super) writer: JoinHandle<()>,
}

/// What several parts stand on.
struct Ground {
    supervisor: Supervisor,
    stages: Stages,
    endpoint: Endpoint,
    list: ConsumerList,
    client: ConsumerClient,
    queue: MemoryQueue,
    letters: mpsc::Sender<Letter>,
}

/// The part that delivers.
struct Delivering {
    group: ConsumerGroup,
    outboxes: Supervisor,
    dispatcher: JoinHandle<()>,
    suspected: mpsc::Receiver<ConsumerId>,
}

impl Running {
    /// Starts every role, those that receive before those that send.
    pub(super) fn start(
        settings: Settings,
        endpoint: Endpoint,
        socket: TcpListener,
    ) -> anyhow::Result<Self> {
        let Settings {
            names,
            consumers,
            delivery,
            ..
        } = settings;
        let connection = Connection::new(endpoint.clone());
        let (letters, to_write) = mpsc::channel(dead_letter_writer::WAITING);
        let ground = Ground {
            supervisor: Supervisor::new(),
            stages: Stages::default(),
            endpoint,
            list: ConsumerList::new(connection.clone(), names.consumer_list.clone()),
            client: ConsumerClient::new(delivery.attempt_timeout())
                .context("cannot set up the HTTP client")?,
            queue: MemoryQueue::new(delivery.bounds()),
            letters,
        };
        ground.serve(socket, &consumers)?;
        let stream = FailedStream::new(connection, names.failed_stream.clone());
        let writer = DeadLetterWriter::new(stream, ground.queue.clone(), to_write);
        let writing = ground.stages.writing.clone();
        let writer = ground
            .supervisor
            .spawn("dead letter writer", writing, writer);
        let delivering = ground.deliver(&consumers, &delivery);
        let Delivering {
            group,
            outboxes,
            dispatcher,
            suspected,
        } = delivering;
        ground.follow(&group, suspected, &consumers, &names);
        let listener = ground.listen(names.published_channel);
        let Ground {
            supervisor,
            stages,
            queue,
            letters,
            ..
        } = ground;
        Ok(Self {
            supervisor,
            outboxes,
            stages,
            queue,
            group,
            letters,
            listener,
            dispatcher,
            writer,
        })
    }
}

impl Ground {
    /// Starts the REST API.
    fn serve(&self, socket: TcpListener, consumers: &Consumers) -> anyhow::Result<()> {
        let address = socket.local_addr().context("the listener has no address")?;
        let capacity = consumers.max_consumer_group_size.get();
        let router = http::router(AppState {
            list: self.list.clone(),
            capacity,
        });
        let server = HttpServer::new(socket, router);
        self.supervisor
            .spawn("http server", self.stages.serving.clone(), server);
        info!(%address, "listening");
        Ok(())
    }

    /// Starts the way from the queue to the consumers.
    fn deliver(&self, consumers: &Consumers, delivery: &DeliverySettings) -> Delivering {
        let outboxes = self.supervisor.section();
        let budget = Arc::new(RetryBudget::new());
        let changed = Arc::new(Notify::new());
        let (returns, returned) = mpsc::channel(RETURNS);
        let (suspects, suspected) = mpsc::channel(SUSPECTS);
        let opener = Outboxes {
            client: self.client.clone(),
            budget: Arc::clone(&budget),
            returns,
            suspects,
            room: Arc::clone(&changed),
            supervisor: outboxes.clone(),
            stop: self.stages.delivering.clone(),
            max_in_flight: consumers.max_in_flight_per_consumer.get(),
            attempt_timeout: delivery.attempt_timeout(),
        };
        let group = ConsumerGroup::new(opener, Arc::clone(&changed));
        let dispatcher = Dispatcher {
            queue: self.queue.clone(),
            group: group.clone(),
            returns: returned,
            letters: self.letters.clone(),
            policy: delivery.policy(),
            budget,
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

    /// Starts what keeps the group true to the list in Redis, and what tells of it.
    fn follow(
        &self,
        group: &ConsumerGroup,
        suspected: mpsc::Receiver<ConsumerId>,
        consumers: &Consumers,
        names: &Names,
    ) {
        let stage = || self.stages.following.clone();
        let rules = Rules {
            every: consumers.health_check_interval(),
            capacity: consumers.max_consumer_group_size.get(),
        };
        let (list, client) = (self.list.clone(), self.client.clone());
        let checker = HealthChecker::new(list, client, suspected, rules);
        self.supervisor.spawn("health checker", stage(), checker);
        let key = names.consumer_list.clone();
        let mirror = Mirror::new(self.endpoint.clone(), key, group.clone());
        self.supervisor.spawn("mirror", stage(), mirror);
        let throughput = Throughput {
            queue: self.queue.clone(),
            group: group.clone(),
        };
        self.supervisor.spawn("throughput", stage(), throughput);
    }

    /// Starts the intake.
    fn listen(&self, channel: String) -> JoinHandle<()> {
        let (endpoint, queue) = (self.endpoint.clone(), self.queue.clone());
        let listener = Listener::new(endpoint, channel, queue, self.letters.clone());
        self.supervisor
            .spawn("listener", self.stages.listening.clone(), listener)
    }
}
