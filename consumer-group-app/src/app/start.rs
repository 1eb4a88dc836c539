//! Starts the group: every role, those that receive before those that send.

use std::sync::Arc;

use redis_bus::Endpoint;
use service_kit::supervisor::Role;
use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::shared::Shared;
use crate::{
    consumer::{
        health_checker::{HealthChecker, Rules},
        membership::MembershipFollower,
        sender::FailedDelivery,
        sweeps::{CheckRequests, Suspicion},
    },
    dead_letters::writer::{DeadLetterWriter, Letter},
    dispatch::dispatcher::{Dispatcher, Pending},
    intake::{Admission, Publish, listener::Listener},
    leasing::watcher::LeaseWatcher,
    observe::{server_checker::ServerChecker, throughput::Throughput},
    queue::{
        reader::{LeaseKeeper, Reader},
        settler::Settler,
    },
    settings::Settings,
};

/// The roles at work; of those that are ended one by one, their tasks.
#[derive(Debug)]
pub(super) struct Roles {
    pub(super) shared: Shared,
    pub(super) listener: JoinHandle<()>,
    pub(super) admission: JoinHandle<()>,
    pub(super) reader: JoinHandle<()>,
    pub(super) lease_keeper: JoinHandle<()>,
    pub(super) settler: JoinHandle<()>,
    pub(super) dispatcher: JoinHandle<()>,
    pub(super) writer: JoinHandle<()>,
}

impl Roles {
    pub(super) fn start(
        settings: Settings,
        endpoint: Endpoint,
        socket: TcpListener,
    ) -> anyhow::Result<Self> {
        let (shared, inputs) = Shared::new(settings, endpoint)?;
        let receiver = shared.receiver.clone();
        let phases = &shared.phases;

        let writer = shared.writer(inputs.letters);
        let writer = shared.run("dead letter writer", &phases.writing, writer);
        let settler = Settler::new(shared.leasing.recorder(), inputs.settlements);
        let settler = shared.run("settler", &phases.writing, settler);
        let dispatcher = shared.dispatcher(inputs.failed);
        let dispatcher = shared.run("dispatcher", &phases.delivering, dispatcher);
        let keeper = LeaseKeeper(receiver.leases.clone());
        let lease_keeper = shared.run("lease keeper", &phases.keeping_leases, keeper);
        let watcher = LeaseWatcher::new(
            shared.leasing.clone(),
            shared.group.clone(),
            receiver.leases.clone(),
        );
        shared.run("lease watcher", &phases.delivering, watcher);
        let reader = Reader::new(inputs.reader, receiver);
        let reader = shared.run("reader", &phases.reading, reader);
        let admission = shared.admission(inputs.published);
        let admission = shared.run("admission", &phases.reading, admission);

        let checker = shared.health_checker(inputs.suspects);
        shared.run("health checker", &phases.following, checker);
        let follower = shared.membership_follower();
        shared.run("membership follower", &phases.following, follower);
        shared.run(
            "throughput",
            &phases.following,
            Throughput(shared.local_queue.clone()),
        );
        let checker = ServerChecker {
            connection: shared.connection.clone(),
        };
        shared.run("server checker", &phases.following, checker);
        shared.serve(socket)?;
        let listener = shared.run("listener", &phases.listening, shared.listener());
        Ok(Self {
            listener,
            admission,
            reader,
            lease_keeper,
            settler,
            dispatcher,
            writer,
            shared,
        })
    }
}

impl Shared {
    /// Has the supervisor run a role until its phase ends.
    pub(super) fn run(
        &self,
        name: &str,
        phase: &CancellationToken,
        role: impl Role,
    ) -> JoinHandle<()> {
        self.supervisor.spawn(name, phase.clone(), role)
    }

    fn writer(&self, letters: mpsc::Receiver<Letter>) -> DeadLetterWriter {
        let (queue, buffer) = (self.queue.clone(), self.buffer.clone());
        DeadLetterWriter::new(queue, buffer, letters, self.metrics.dead_letters.clone())
    }

    fn dispatcher(&self, failed: mpsc::Receiver<FailedDelivery>) -> Dispatcher {
        Dispatcher {
            queue: self.local_queue.clone(),
            buffer: self.buffer.clone(),
            group: self.group.clone(),
            failed,
            letters: self.letters.clone(),
            max_attempts: self.settings.delivery.max_attempts(),
            budget: Arc::clone(&self.budget),
            selection: self.settings.consumers.selection,
            changed: Arc::clone(&self.changed),
            pending: Pending::default(),
            leasing: self.leasing.clone(),
        }
    }

    fn admission(&self, published: mpsc::Receiver<Publish>) -> Admission {
        let (buffer, queue) = (self.buffer.clone(), self.queue.clone());
        let window = self.settings.retention.dedup_window();
        Admission::new(buffer, published, queue, self.receiver.clone(), window)
    }

    fn health_checker(&self, suspects: mpsc::Receiver<Suspicion>) -> HealthChecker {
        let rules = Rules {
            every: self.settings.consumers.health_check_interval(),
            capacity: self.capacity(),
        };
        let (list, group) = (self.list.clone(), self.group.clone());
        let asked = CheckRequests {
            suspects,
            sweeps: self.sweeps.clone(),
        };
        HealthChecker::new(list, group, self.client.clone(), asked, rules)
    }

    fn membership_follower(&self) -> MembershipFollower {
        MembershipFollower::new(
            self.endpoint.clone(),
            self.settings.names.consumer_list.clone(),
            self.group.clone(),
            self.sweeps.clone(),
            self.capacity(),
        )
    }

    fn listener(&self) -> Listener {
        Listener::new(
            self.endpoint.clone(),
            self.settings.names.published_channel.clone(),
            self.buffer.clone(),
            self.subscription.clone(),
        )
    }
}
