//! Starts the group: every role, in order.

use redis_bus::{Endpoint, commit::Retention};
use service_kit::supervisor::Supervisor;
use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle};

use super::{
    ground::{Delivering, Ground, Stages},
    queue_roles::{QueueInput, QueueRoles},
    serve::Served,
};
use crate::{
    consumer::registry::ConsumerGroup,
    dead_letters::writer,
    intake::{Buffer, subscription_health::Gaps},
    queue::{MemoryQueue, settler},
    settings::Settings,
};

/// How many requests that publish may wait for admission.
const PUBLISHING: usize = 16;

/// The roles at work.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) supervisor: Supervisor,
    pub(super) outboxes: Supervisor,
    pub(super) stages: Stages,
    /// What was heard and is not in the queue yet.
    pub(super) buffer: Buffer,
    /// What this replica was handed.
    pub(super) queue: MemoryQueue,
    pub(super) queue_roles: QueueRoles,
    pub(super) group: ConsumerGroup,
    pub(super) listener: JoinHandle<()>,
    pub(super) dispatcher: JoinHandle<()>,
    pub(super) writer: JoinHandle<()>,
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
            retention,
            dashboard,
            ..
        } = settings;
        let (letters, to_write) = mpsc::channel(writer::WAITING);
        let retention = Retention {
            dedup_window: retention.dedup_window(),
            max_len: 0,
        };
        let ground = Ground::new(endpoint, letters, &names, &delivery)?;
        let writer = ground.write_letters(to_write);
        let (settlements, settled) = mpsc::channel(settler::WAITING);
        let delivering = ground.deliver(&consumers, &delivery, settlements);
        let Delivering {
            group,
            outboxes,
            dispatcher,
            suspected,
        } = delivering;
        let (publish, published) = mpsc::channel(PUBLISHING);
        let input = QueueInput {
            settled,
            published,
            window: retention.dedup_window,
            max_deliveries: delivery.max_deliveries(),
        };
        let queue_roles = QueueRoles::start(&ground, &group, input);
        let gaps = Gaps::default();
        let sweeps = ground.follow(&group, suspected, &consumers, &names);
        let served = Served {
            group: &group,
            sweeps: &sweeps,
            gaps: &gaps,
            reader_name: &queue_roles.reader_name,
            publish,
            capacity: consumers.max_consumer_group_size.get(),
        };
        ground.serve(socket, &served, &names, dashboard)?;
        ground.watch(&group, &names, retention);
        let listener = ground.listen(names.published_channel, gaps);
        Ok(Self {
            supervisor: ground.supervisor,
            outboxes,
            stages: ground.stages,
            buffer: ground.buffer,
            queue: ground.queue,
            queue_roles,
            group,
            listener,
            dispatcher,
            writer,
        })
    }
}
